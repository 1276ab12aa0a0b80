"""Bytes of the messages that the gateway makes itself, without an object between.

This module and what it imports cost little to import: no dataclass is made. The messages are
the ones of `dbopt.wire.messages`, byte for byte (a test compares them).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from dbopt.errors import DboptError, ProtocolError
from dbopt.wire import buffer, types

_SYNC: Final = buffer.frame(types.F_SYNC, b"")
_TERMINATE: Final = buffer.frame(types.F_TERMINATE, b"")
_FLUSH: Final = buffer.frame(types.F_FLUSH, b"")
_AUTHENTICATION_OK: Final = buffer.frame(types.B_AUTHENTICATION, b"\0\0\0\0")
_READY: Final = {
    status: buffer.frame(types.B_READY_FOR_QUERY, status) for status in (b"I", b"T", b"E")
}


def error_response(error: DboptError, severity: str = "ERROR") -> bytes:
    """An ErrorResponse that says what `error` says: its SQLSTATE, message and hint."""
    return error_fields(severity, error.sqlstate, error.message, hint=error.hint)


def error_fields(
    severity: str, sqlstate: str, message: str, hint: str = "", detail: str = ""
) -> bytes:
    """An ErrorResponse of these fields; an empty hint or detail is left out."""
    return buffer.frame(types.B_ERROR, _report(severity, sqlstate, message, hint, detail))


def old_error(message: str) -> bytes:
    """A FATAL as protocol 2 has it, which is all that a client of PostgreSQL 7.3 can read."""
    return b"E" + _lossy(f"FATAL:  {message}\n")


def notice(
    message: str,
    severity: str = "NOTICE",
    sqlstate: str = "00000",
    hint: str = "",
    detail: str = "",
) -> bytes:
    """A NoticeResponse of these fields; 00000 is PostgreSQL's SQLSTATE of a plain notice."""
    return buffer.frame(types.B_NOTICE, _report(severity, sqlstate, message, hint, detail))


def ready_for_query(status: bytes) -> bytes:
    """A ReadyForQuery; `status` is b"I", b"T" or b"E". Raises ProtocolError for another."""
    try:
        return _READY[status]
    except KeyError:
        raise ProtocolError("a transaction status is I, T or E") from None


def parameter_status(name: str, value: str) -> bytes:
    """A ParameterStatus. Raises ProtocolError for a zero byte in either."""
    return buffer.frame(types.B_PARAMETER_STATUS, buffer.text(name) + buffer.text(value))


def backend_key_data(pid: int, secret: bytes) -> bytes:
    """A BackendKeyData; `secret` has 4 bytes, or up to 256 where the client speaks 3.2."""
    return buffer.frame(types.B_BACKEND_KEY_DATA, buffer.pack("i", pid) + buffer.cancel_key(secret))


def authentication_ok() -> bytes:
    """An AuthenticationOk."""
    return _AUTHENTICATION_OK


def authentication_cleartext() -> bytes:
    """An AuthenticationCleartextPassword."""
    return _authentication(types.AUTH_CLEARTEXT_PASSWORD)


def authentication_md5(salt: bytes) -> bytes:
    """An AuthenticationMD5Password. Raises ProtocolError if the salt is not of four bytes."""
    if len(salt) != 4:
        raise ProtocolError("an MD5 salt has four bytes")
    return _authentication(types.AUTH_MD5_PASSWORD, salt)


def authentication_sasl(mechanisms: Iterable[str]) -> bytes:
    """An AuthenticationSASL that offers these mechanisms."""
    return _authentication(types.AUTH_SASL, buffer.texts(mechanisms) + b"\0")


def authentication_sasl_continue(data: bytes) -> bytes:
    """An AuthenticationSASLContinue with the server-first message."""
    return _authentication(types.AUTH_SASL_CONTINUE, data)


def authentication_sasl_final(data: bytes) -> bytes:
    """An AuthenticationSASLFinal with the server-final message."""
    return _authentication(types.AUTH_SASL_FINAL, data)


def negotiate_protocol_version(minor: int, unrecognised: Iterable[str] = ()) -> bytes:
    """A NegotiateProtocolVersion: 3.`minor` is spoken, these `_pq_.` options are not known.

    Servers send, and libpq reads, the whole version and not the minor one alone, whatever the
    documentation's format says (SendNegotiateProtocolVersion in backend_startup.c).
    """
    names = [buffer.text(name) for name in unrecognised]
    head = buffer.pack("II", types.PROTOCOL_3_0 + minor, len(names))
    return buffer.frame(types.B_NEGOTIATE, head + b"".join(names))


def command_complete(tag: bytes) -> bytes:
    """A CommandComplete. Raises ProtocolError for a zero byte in the tag."""
    return buffer.frame(types.B_COMMAND_COMPLETE, buffer.cstring(tag))


def query(text: bytes) -> bytes:
    """A Query. Raises ProtocolError for a zero byte in the text."""
    return buffer.frame(types.F_QUERY, buffer.cstring(text))


def parse(name: bytes, sql: bytes, oids: bytes = b"\0\0") -> bytes:
    """A Parse; `oids` is the count and the OIDs as they came off the wire."""
    return buffer.frame(types.F_PARSE, buffer.cstring(name) + buffer.cstring(sql) + oids)


def close_statement(name: bytes) -> bytes:
    """A Close of a prepared statement."""
    return buffer.frame(types.F_CLOSE, b"S" + buffer.cstring(name))


def describe_statement(name: bytes) -> bytes:
    """A Describe of a prepared statement."""
    return buffer.frame(types.F_DESCRIBE, b"S" + buffer.cstring(name))


def sync() -> bytes:
    """A Sync."""
    return _SYNC


def flush() -> bytes:
    """A Flush."""
    return _FLUSH


def terminate() -> bytes:
    """A Terminate."""
    return _TERMINATE


def startup(params: Mapping[str, str], protocol: int = types.PROTOCOL_3_0) -> bytes:
    """A StartupMessage. Raises ProtocolError for an empty name or a zero byte."""
    if "" in params:
        raise ProtocolError("a startup parameter has no name")
    pairs = buffer.texts(part for pair in params.items() for part in pair)
    return buffer.untyped_frame(buffer.pack("I", protocol) + pairs + b"\0")


def ssl_request() -> bytes:
    """An SSLRequest; the server answers one byte, S or N."""
    return buffer.untyped_frame(buffer.pack("I", types.SSL_REQUEST))


def cancel_request(pid: int, secret: bytes) -> bytes:
    """A CancelRequest, for a connection of its own."""
    head = buffer.pack("Ii", types.CANCEL_REQUEST, pid)
    return buffer.untyped_frame(head + buffer.cancel_key(secret))


def password(payload: bytes) -> bytes:
    """A PasswordMessage; the zero byte at its end is added."""
    return buffer.frame(types.F_PASSWORD, buffer.cstring(payload))


def sasl_initial_response(mechanism: str, data: bytes) -> bytes:
    """A SASLInitialResponse with the client-first message."""
    return buffer.frame(types.F_PASSWORD, buffer.text(mechanism) + buffer.value(data))


def sasl_response(data: bytes) -> bytes:
    """A SASLResponse with the client-final message."""
    return buffer.frame(types.F_PASSWORD, data)


def _authentication(code: int, data: bytes = b"") -> bytes:
    return buffer.frame(types.B_AUTHENTICATION, buffer.pack("I", code) + data)


def _report(severity: str, sqlstate: str, message: str, hint: str, detail: str) -> bytes:
    fields = (("S", severity), ("V", severity), ("C", sqlstate), ("M", message))
    extra = tuple((code, value) for code, value in (("D", detail), ("H", hint)) if value)
    return b"".join(code.encode() + _lossy(value) for code, value in fields + extra) + b"\0"


def _lossy(value: str) -> bytes:
    # An error must reach the client whatever its text holds, so a zero byte is no error here.
    return value.encode("utf-8", "replace").replace(b"\0", b"?") + b"\0"
