"""Who may do what. Rule: a token is compared in constant time, with every known one, and is never written anywhere.

Without a file of tokens, whoever gets through to the port is an operator: on loopback the machine's own users,
elsewhere the holders of a certificate that ``tls_client_ca`` signed (settings allow nothing else).
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from afmd.errors import AfmdError, NotAuthenticated, NotPermitted, SettingsError

LEAST_TOKEN = 16
SCHEME = "bearer"

Metadata = Iterable[tuple[str, str | bytes]]


class Role(IntEnum):
    """What a caller may do; each role may also do what those below it may."""

    ANYONE = 0
    VIEWER = 1
    OPERATOR = 2


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever makes a call; ``name`` is for the log."""

    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class _Known:
    caller: Caller
    digest: bytes


class Access:
    """Knows the callers by their tokens, and hears of a changed file at the next call."""

    def __init__(self, tokens: Path | None, *, on_fault: Callable[[str, Exception], None]) -> None:
        """Read the file. Raises ``SettingsError``."""
        self._file = tokens
        self._on_fault = on_fault
        self._stamp = _stamp(tokens)
        self._known = [] if tokens is None else _read(tokens)

    def admit(self, metadata: Metadata, *, role: Role) -> Caller:
        """Return the caller. Raises ``NotAuthenticated``, or ``NotPermitted`` where the role is not enough."""
        if role is Role.ANYONE:
            return Caller("anyone", Role.ANYONE)
        caller = self._caller(metadata)
        if caller.role < role:
            raise NotPermitted(
                f"caller {caller.name}", why=f"a {caller.role.name.lower()} may not do this",
                mend=f"Use the token of an {role.name.lower()}",
            )  # fmt: skip
        return caller

    def _caller(self, metadata: Metadata) -> Caller:
        if self._file is None:
            return Caller("local", Role.OPERATOR)
        self._read_again_when_changed(self._file)
        digest = _digest(_token(metadata))
        found = [known.caller for known in self._known if hmac.compare_digest(known.digest, digest)]
        if not found:
            raise NotAuthenticated(
                "token", why="this daemon does not know it",
                mend="Ask for a new one; tokens stand in the file of server.tokens",
            )  # fmt: skip
        return found[0]

    def _read_again_when_changed(self, file: Path) -> None:
        """Take up new tokens; a file that cannot be used leaves the old ones in force and is reported once."""
        stamp = _stamp(file)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._known = _read(file)
        except AfmdError as e:
            self._on_fault("server.tokens", e)


def _token(metadata: Metadata) -> str:
    for key, value in metadata:
        if key == "authorization" and isinstance(value, str):
            scheme, _, token = value.partition(" ")
            if scheme.lower() == SCHEME and token.strip():
                return token.strip()
    raise NotAuthenticated(
        "call", why="it carries no token", mend="Send the metadata 'authorization: Bearer TOKEN'"
    )  # fmt: skip


def _read(file: Path) -> list[_Known]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as e:
        raise SettingsError("server.tokens", why=f"{file} cannot be read: {e}", mend="Give a readable text file") from e
    numbered = ((n, line.split()) for n, line in enumerate(lines, start=1))
    known = [_known(words, where=f"line {n}") for n, words in numbered if words and not words[0].startswith("#")]
    if not known:
        raise SettingsError("server.tokens", why=f"{file} holds no token", mend="Write a line 'viewer NAME TOKEN'")
    return known


def _known(words: list[str], *, where: str) -> _Known:
    """Return one line's caller. The line itself is never quoted: it holds a secret."""
    if len(words) != 3 or words[0] not in {"viewer", "operator"}:
        raise SettingsError(
            f"server.tokens, {where}", why="it is not of the form 'role name token'",
            mend="Begin with viewer or operator, then a name without spaces, then the token",
        )  # fmt: skip
    role, name, token = words
    if len(token) < LEAST_TOKEN:
        raise SettingsError(
            f"server.tokens, {where}", why=f"the token of {name} has fewer than {LEAST_TOKEN} characters",
            mend="""Make one with: python -c "import secrets; print(secrets.token_urlsafe(32))\"""",
        )  # fmt: skip
    return _Known(Caller(name, Role[role.upper()]), _digest(token))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def _stamp(file: Path | None) -> tuple[int, int, int] | None:
    if file is None:
        return None
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
