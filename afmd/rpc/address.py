"""The address that clients connect to: port and certificates. Rule: whoever is refused hears which setting is wrong."""

import errno
import socket
import ssl
import sys
from pathlib import Path

import grpc

from afmd.errors import AfmdError, AlreadyRunning, SettingsError
from afmd.settings import Server


def bound(server: grpc.aio.Server, settings: Server) -> int:
    """Bind the port. Raises ``AlreadyRunning`` where it is taken, ``SettingsError`` where the address is no good."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"{host}:{settings.port}"
    own = credentials(settings)
    if sys.platform == "win32" and (refused := refusal(settings)):
        raise refused
    try:
        if own is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, own)
    except RuntimeError as e:
        raise refusal(settings) or SettingsError(
            f"server {address}", why=str(e), mend="Give an address and certificates that this machine can use"
        ) from e


def refusal(settings: Server) -> AfmdError | None:
    """Return why the address cannot be bound, or None where it can. Windows would share a port without a word."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        if sys.platform == "win32":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as e:
            if e.errno in {errno.EADDRINUSE, errno.EACCES} and settings.port:
                return AlreadyRunning(
                    f"port {settings.port} on {settings.host}", why=e.strerror or str(e),
                    mend="End the other daemon, or give another server.port",
                )  # fmt: skip
            return SettingsError(
                f"server.host {settings.host}", why=e.strerror or str(e), mend="Give an address of this machine"
            )
    return None


def credentials(settings: Server) -> grpc.ServerCredentials | None:
    """Return the server's own identity, or None where it speaks plainly. Raises ``SettingsError``."""
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    authority = None if settings.tls_client_ca is None else _pem(settings.tls_client_ca, key="tls_client_ca")
    pair = _pem(settings.tls_key, key="tls_key"), _pem(settings.tls_certificate, key="tls_certificate")
    _check_pair(settings.tls_certificate, settings.tls_key)
    return grpc.ssl_server_credentials(
        [pair], root_certificates=authority, require_client_auth=authority is not None
    )  # fmt: skip


def _check_pair(certificate: Path, key: Path) -> None:
    """Raise ``SettingsError`` where a key is not that of its certificate; gRPC would not say which is wrong."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except ssl.SSLError as e:
        raise SettingsError(
            "server.tls_key", why=f"{key.name} does not open {certificate.name}: {e.reason or e}",
            mend="Give a certificate and its own key, without a password",
        ) from e  # fmt: skip


def _pem(file: Path, *, key: str) -> bytes:
    try:
        content = file.read_bytes()
    except OSError as e:
        raise SettingsError(f"server.{key}", why=f"{file}: {e.strerror}", mend="Give a readable PEM file") from e
    if b"-----BEGIN " not in content:
        raise SettingsError(f"server.{key}", why=f"{file} is no PEM file", mend="Give a file of '-----BEGIN …' blocks")
    return content
