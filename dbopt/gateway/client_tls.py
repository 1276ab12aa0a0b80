"""TLS of clients: the certificate that they are shown, and the handshake.

The context is made at the start and at each reload, never for a connection.
"""

from __future__ import annotations

import asyncio
import ssl
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from dbopt.errors import ConfigError, ProtocolError
from dbopt.gateway.channel_binding import certificate_hash
from dbopt.gateway.login import Encryption
from dbopt.settings import Gateway

ALPN: Final = "postgresql"
"""What a client that begins with TLS at once must ask for (PostgreSQL 17 and later)."""

_VERSIONS: Final = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
_VERIFIES: Final = frozenset(("verify-ca", "verify-full"))
_SHUTDOWN: Final = 5.0
"""Seconds that a client may take to answer our close_notify."""


@dataclass(frozen=True, slots=True)
class ClientTls:
    """What the handshakes of clients need. `binding` is the hash of our certificate."""

    context: ssl.SSLContext
    encryption: Encryption
    binding: bytes = b""
    warnings: tuple[str, ...] = field(default=())


def client_tls(gateway: Gateway) -> ClientTls | None:
    """What the settings ask for; None where encryption is off.

    Raises ConfigError, which names the setting and the file, for one that cannot be used.
    """
    if gateway.tls_mode == "disable":
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[gateway.tls_min_version]
    # As PostgreSQL: no tickets, which would outlive a reload, and no renegotiation.
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.num_tickets = 0
    context.set_alpn_protocols([ALPN])
    _load_pair(context, gateway.tls_cert, gateway.tls_key)
    if gateway.tls_mode in _VERIFIES:
        _load_authorities(context, gateway.tls_ca)
    encryption = Encryption(
        offered=True,
        required=gateway.tls_mode != "allow",
        own_name=gateway.tls_mode == "verify-full",
    )
    return ClientTls(context, encryption, _binding(gateway.tls_cert), _warnings(gateway.tls_key))


async def handshake(
    transport: asyncio.Transport, protocol: asyncio.Protocol, tls: ClientTls, early: bytes
) -> asyncio.Transport:
    """Speak TLS on a transport whose reading is paused; `early` is what was read of it before.

    Gives the transport to go on with. Raises OSError (ssl.SSLError is one) where it fails.
    How long it may take is for the caller to limit, by closing the transport.
    """
    loop = asyncio.get_running_loop()
    task = loop.create_task(
        loop.start_tls(
            transport, protocol, tls.context, server_side=True, ssl_shutdown_timeout=_SHUTDOWN
        )
    )
    if early:
        # After this start_tls has put its own protocol on the transport, and has asked the
        # loop to begin; what we ask next comes after that, and before any new data.
        await asyncio.sleep(0)
        loop.call_soon(_feed, transport.get_protocol(), early)
    secured = await task
    if secured is None or secured.is_closing():
        raise ConnectionAbortedError("the connection was closed during the TLS handshake")
    return secured


def selected_alpn(transport: asyncio.Transport) -> str:
    """The application protocol that was agreed on; "" for none."""
    session = transport.get_extra_info("ssl_object")
    return (session.selected_alpn_protocol() or "") if session is not None else ""


def common_name(transport: asyncio.Transport) -> str:
    """The common name of the certificate that the client showed; "" without one, or of many."""
    certificate: dict[str, Any] = transport.get_extra_info("peercert") or {}
    names = [
        value
        for part in certificate.get("subject", ())
        for name, value in part
        if name == "commonName"
    ]
    return names[0] if len(names) == 1 and "\0" not in names[0] else ""


def _feed(protocol: Any, data: bytes) -> None:
    """Give a BufferedProtocol bytes that were read before it had the transport."""
    while data:
        buffer = protocol.get_buffer(len(data))
        size = min(len(buffer), len(data))
        buffer[:size] = data[:size]
        protocol.buffer_updated(size)
        data = data[size:]


def _load_pair(context: ssl.SSLContext, cert: str, key: str) -> None:
    _check_readable("gateway.tls_cert", cert)
    _check_readable("gateway.tls_key", key)
    try:
        context.load_cert_chain(cert, key, password=_no_password)
    except ssl.SSLError as error:
        reason = (error.reason or "").replace("_", " ").lower() or "they are no PEM files"
        raise ConfigError(
            f"gateway.tls_cert, gateway.tls_key: {cert} and {key} cannot be used: {reason}.",
            hint="Give a PEM certificate (with its chain) and the PEM key that belongs to it, "
            "without a password.",
        ) from None


def _no_password() -> bytes:
    """Without it OpenSSL would ask for one on the terminal."""
    raise ConfigError(
        "gateway.tls_key: the key is protected by a password, which nobody could type.",
        hint="Store it without: openssl pkey -in FILE -out NEW; chmod 600 NEW.",
    )


def _load_authorities(context: ssl.SSLContext, path: str) -> None:
    _check_readable("gateway.tls_ca", path)
    try:
        context.load_verify_locations(path)
    except ssl.SSLError:
        raise ConfigError(
            f"gateway.tls_ca: {path} cannot be used: it is no PEM file.",
            hint="Give a file of PEM certificates: the authorities that sign clients'.",
        ) from None
    context.verify_mode = ssl.CERT_REQUIRED


def _check_readable(setting: str, path: str) -> None:
    try:
        with Path(path).open("rb"):
            return
    except OSError as error:
        raise ConfigError(
            f"{setting}: cannot read {path or 'a file without a name'}: {error.strerror}.",
            hint=f"Give the path of a PEM file that dbopt may read with {setting}.",
        ) from None


def _binding(path: str) -> bytes:
    """The hash of the first certificate of the file: the one that is shown. b"" for none."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    text = Path(path).read_text(encoding="utf-8", errors="replace")
    body = text.partition(begin)[2].partition(end)[0]
    try:
        return certificate_hash(ssl.PEM_cert_to_DER_cert(f"{begin}{body}{end}"))
    except (ProtocolError, ValueError):
        return b""


def _warnings(key: str) -> tuple[str, ...]:
    mode = stat.S_IMODE(Path(key).stat().st_mode)
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        return (f"{key}: others can read or write this key (mode {mode:04o}); chmod 600 {key}",)
    return ()
