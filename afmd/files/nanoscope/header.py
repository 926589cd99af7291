"""The text header: sections of keys and values. Rule: values stay text here; whoever needs a number asks for it.

Layout: Latin-1 lines that begin with a backslash, ``\\*Name`` opens a section, ``\\*File list end`` closes the header,
then 0x1A and padding up to the first data block. Keys repeat between sections and change case between versions.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from afmd.errors import MalformedHeader, NotAnImage, NotNanoScope, UnfinishedScan

HEADER_LIMIT = 4 << 20
"""No header is longer than this, in bytes; real ones have 12 to 44 kB."""

_FIRST_LINES = (b"\\*File list", b"\\*EC File list", b"\\*Force file list")
_TEXT_FORM = b"?*File list"
_END = b"\\*File list end"
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?"
_WHOLE = re.compile(r"(\d{1,15})(?:\s|$)")
_SENSITIVITY = re.compile(rf"V\s+({_NUMBER})\s*(\S*)")
NUMBER = re.compile(_NUMBER)


@dataclass(frozen=True, slots=True)
class Section:
    """One ``\\*Name`` section, searched only when asked: a header has a thousand lines, of which thirty matter.

    Keys are asked for in lower case; of a key that repeats, the first stands. A CIAO parameter (``\\@2:Z scale``) is
    asked for as ``@z scale``, without its group number. ``where`` names file and section for error messages; ``text``
    is everything behind the section's name, ``lower`` the same in lower case.
    """

    title: str
    where: str
    text: str
    lower: str

    def find(self, key: str) -> str | None:
        """Return a value's text, or None where there is no such key."""
        mark = f"\n\\{key}:"
        start = self.lower.find(mark) + len(mark)
        if start < len(mark):
            grouped = re.search(rf"\n\\@\d+:{re.escape(key[1:])}:", self.lower) if key.startswith("@") else None
            if grouped is None:
                return None
            start = grouped.end()
        stop = self.lower.find("\n", start)
        return self.text[start : stop if stop >= 0 else None].strip()

    def get(self, key: str) -> str:
        """Return a value's text, or an empty one."""
        return self.find(key) or ""

    def whole(self, key: str) -> int:
        """Return a non-negative integer. Raises ``MalformedHeader`` where it is missing or none."""
        text = self.find(key)
        if text is None:
            self.fault(f"it has no '{key}'")
        number = _WHOLE.match(text)
        if number is None:
            self.fault(f"'{key}: {text[:40]}' is not a whole number")
        return int(number[1])

    def fault(self, why: str) -> NoReturn:
        """Raise ``MalformedHeader`` about this section."""
        raise MalformedHeader(self.where, why=why, mend="Save the scan again from the NanoScope software")


@dataclass(frozen=True, slots=True)
class Header:
    """All sections in order. ``end`` is the byte after the ``\\*File list end`` line; ``crlf`` its line ends."""

    name: str
    sections: tuple[Section, ...]
    end: int
    crlf: bool

    def titled(self, title: str) -> Iterator[Section]:
        """Give every section of this title (lower case), in order."""
        return (s for s in self.sections if s.title == title)

    def first(self, title: str) -> Section:
        """Return the first section of this title, or an empty one."""
        return next(self.titled(title), Section(title, f"{self.name}, {title}", "", ""))

    def images(self) -> tuple[Section, ...]:
        """Return the channels' sections."""
        return tuple(self.titled("ciao image list"))

    def sensitivity(self, name: str, *, near: Section) -> tuple[float, str] | None:
        """Return (value, unit) of the sensitivity of exactly this name, or None where no section has it.

        The channel's own section goes first. Raises ``MalformedHeader`` where the others disagree: mixing two up
        scales heights silently.
        """
        key = f"@{name.lower()}"
        own = near.find(key)
        found = [own] if own is not None else [s.get(key) for s in self.sections]
        values = {(float(m[1]), m[2]) for m in map(_SENSITIVITY.match, found) if m}
        if len(values) > 1:
            near.fault(f"'{name}' is given {len(values)} times with different values")
        return values.pop() if values else None

    @property
    def version(self) -> int:
        """The number of ``\\Version: 0x09010201``, which may have nine digits; 0 where there is none."""
        text = self.sections[0].get("version")
        return int(text, 16) if re.fullmatch(r"0x[0-9A-Fa-f]{1,12}", text) else 0


def parse(data: bytes, *, name: str) -> Header:
    """Read the header at the start of ``data``; ``name`` is used in messages only.

    Raises ``NotNanoScope``, ``NotAnImage`` (the first line already tells), ``UnfinishedScan`` (no end of header yet)
    and ``MalformedHeader``.
    """
    _check_first_line(data, name)
    end = data.find(_END, 0, HEADER_LIMIT)
    if end < 0:
        _no_end(data, name)
    text = data[:end].decode("latin-1")
    stop = data.find(b"\n", end, end + len(_END) + 2)
    sections = tuple(_sections(text, name))
    return Header(name, sections, (stop + 1) or end + len(_END), "\r\n" in text[:200])


def may_become_header(head: bytes) -> bool:
    """True where these first bytes are those of a NanoScope file, or too few to say no."""
    return any(head.startswith(line[: len(head)]) for line in _FIRST_LINES)


def _check_first_line(data: bytes, name: str) -> None:
    if data.startswith(_TEXT_FORM):
        raise NotNanoScope(name, why="it is a NanoScope text export", mend="Save the scan in the binary format")
    if not may_become_header(data):
        raise NotNanoScope(
            name, why=f"it begins with {data[:12]!r}", mend="Keep other files out of the capture folder or its patterns"
        )
    if data.startswith(b"\\*Force"):
        raise NotAnImage(name, why="its first line says force curves", mend="Capture an image instead")


def _no_end(data: bytes, name: str) -> NoReturn:
    if len(data) >= HEADER_LIMIT or b"\x1a" in data:
        raise MalformedHeader(
            name, why="its header has no '\\*File list end'", mend="Save the scan again from the NanoScope software"
        )
    raise UnfinishedScan(
        name, why=f"its header breaks off at byte {len(data)}", mend="Wait until the capture is done, or copy it again"
    )


def _sections(text: str, name: str) -> Iterator[Section]:
    """Give every section; Latin-1 text keeps its length in lower case, so that places in both agree."""
    for number, part in enumerate(text.split("\\*")[1:], start=1):
        line_end = part.find("\n")
        stop = line_end if line_end >= 0 else len(part)
        title, body = part[:stop].strip(), part[stop:]
        yield Section(title.lower(), f"{name}, section {number} '{title[:40]}'", body, body.lower())
