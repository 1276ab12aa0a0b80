"""The messages of authentication, the server's and the client's.

All of the server's share one type and differ by a code; all of the client's share another and
differ only by what the server asked. So `parse_frontend` gives an AuthenticationResponse, and
who asked knows which of the classes here reads its data.

Source: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP and
https://www.postgresql.org/docs/current/sasl-authentication.html
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Final, Self

from dbopt.errors import ProtocolError
from dbopt.wire import buffer, types
from dbopt.wire.buffer import Reader
from dbopt.wire.message import Message


class Authentication(Message):
    """A server's step of authentication: CODE, then what the step carries."""

    __slots__ = ()

    TYPE: ClassVar[int] = types.B_AUTHENTICATION
    CODE: ClassVar[int]

    def encode(self) -> bytes:
        """The whole message with type, length and code."""
        return buffer.frame(self.TYPE, buffer.pack("I", self.CODE) + self._payload())

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """The message whose payload this is. Raises ProtocolError for another step's."""
        reader = Reader(cls.__name__, payload)
        code = reader.uint32()
        if code != cls.CODE:
            raise reader.error(f"authentication request {code}, not {cls.CODE}")
        message = cls._read(reader)
        reader.end()
        return message


@dataclass(frozen=True, slots=True)
class AuthenticationOk(Authentication):
    """The client is who it says it is."""

    CODE: ClassVar[int] = types.AUTH_OK


@dataclass(frozen=True, slots=True)
class AuthenticationKerberosV5(Authentication):
    """Obsolete; no server since 9.3 sends it."""

    CODE: ClassVar[int] = types.AUTH_KERBEROS_V5


@dataclass(frozen=True, slots=True)
class AuthenticationCleartextPassword(Authentication):
    """Send the password as it is."""

    CODE: ClassVar[int] = types.AUTH_CLEARTEXT_PASSWORD


@dataclass(frozen=True, slots=True)
class AuthenticationMD5Password(Authentication):
    """Send the password hashed with this salt of four bytes."""

    CODE: ClassVar[int] = types.AUTH_MD5_PASSWORD
    salt: bytes

    def _payload(self) -> bytes:
        if len(self.salt) != 4:
            raise ProtocolError("an MD5 salt has four bytes")
        return self.salt

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(reader.take(4))


@dataclass(frozen=True, slots=True)
class AuthenticationSCMCredential(Authentication):
    """Obsolete; no server since 9.1 sends it."""

    CODE: ClassVar[int] = types.AUTH_SCM_CREDENTIAL


@dataclass(frozen=True, slots=True)
class AuthenticationGSS(Authentication):
    """Begin GSSAPI."""

    CODE: ClassVar[int] = types.AUTH_GSS


@dataclass(frozen=True, slots=True)
class AuthenticationSSPI(Authentication):
    """Begin SSPI."""

    CODE: ClassVar[int] = types.AUTH_SSPI


@dataclass(frozen=True, slots=True)
class _AuthenticationData(Authentication):
    data: bytes = field(repr=False)

    def _payload(self) -> bytes:
        return self.data

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(reader.rest())


@dataclass(frozen=True, slots=True)
class AuthenticationGSSContinue(_AuthenticationData):
    """GSSAPI or SSPI data."""

    CODE: ClassVar[int] = types.AUTH_GSS_CONTINUE


@dataclass(frozen=True, slots=True)
class AuthenticationSASLContinue(_AuthenticationData):
    """SASL's server-first message."""

    CODE: ClassVar[int] = types.AUTH_SASL_CONTINUE


@dataclass(frozen=True, slots=True)
class AuthenticationSASLFinal(_AuthenticationData):
    """SASL's server-final message."""

    CODE: ClassVar[int] = types.AUTH_SASL_FINAL


@dataclass(frozen=True, slots=True)
class AuthenticationSASL(Authentication):
    """Begin SASL with one of these mechanisms, the server's favourite first."""

    CODE: ClassVar[int] = types.AUTH_SASL
    mechanisms: tuple[str, ...]

    def _payload(self) -> bytes:
        if not all(self.mechanisms):
            raise ProtocolError("a SASL mechanism has no name")
        return buffer.texts(self.mechanisms) + b"\0"

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        mechanisms = []
        while mechanism := reader.text():
            mechanisms.append(mechanism)
        return cls(tuple(mechanisms))


AuthenticationMessage = (
    AuthenticationOk
    | AuthenticationKerberosV5
    | AuthenticationCleartextPassword
    | AuthenticationMD5Password
    | AuthenticationSCMCredential
    | AuthenticationGSS
    | AuthenticationGSSContinue
    | AuthenticationSSPI
    | AuthenticationSASL
    | AuthenticationSASLContinue
    | AuthenticationSASLFinal
)

_BY_CODE: Final[dict[int, Callable[[bytes], AuthenticationMessage]]] = {
    types.AUTH_OK: AuthenticationOk.parse,
    types.AUTH_KERBEROS_V5: AuthenticationKerberosV5.parse,
    types.AUTH_CLEARTEXT_PASSWORD: AuthenticationCleartextPassword.parse,
    types.AUTH_MD5_PASSWORD: AuthenticationMD5Password.parse,
    types.AUTH_SCM_CREDENTIAL: AuthenticationSCMCredential.parse,
    types.AUTH_GSS: AuthenticationGSS.parse,
    types.AUTH_GSS_CONTINUE: AuthenticationGSSContinue.parse,
    types.AUTH_SSPI: AuthenticationSSPI.parse,
    types.AUTH_SASL: AuthenticationSASL.parse,
    types.AUTH_SASL_CONTINUE: AuthenticationSASLContinue.parse,
    types.AUTH_SASL_FINAL: AuthenticationSASLFinal.parse,
}


def parse_authentication(payload: bytes) -> AuthenticationMessage:
    """A server's authentication message. Raises ProtocolError for an unknown code."""
    code = Reader("Authentication", payload).uint32()
    parser = _BY_CODE.get(code)
    if parser is None:
        raise ProtocolError(f"unknown authentication request {code}")
    return parser(payload)


@dataclass(frozen=True, slots=True)
class AuthenticationResponse(Message):
    """The client's answer, unread: a password, a SASL or a GSSAPI message."""

    TYPE: ClassVar[int] = types.F_PASSWORD
    data: bytes = field(repr=False)

    def _payload(self) -> bytes:
        return self.data

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(reader.rest())


@dataclass(frozen=True, slots=True)
class SASLResponse(AuthenticationResponse):
    """The client's second SASL message."""


@dataclass(frozen=True, slots=True)
class GSSResponse(AuthenticationResponse):
    """GSSAPI or SSPI data of the client."""


@dataclass(frozen=True, slots=True)
class PasswordMessage(Message):
    """The password, plain or as "md5" and 32 hexadecimal digits."""

    TYPE: ClassVar[int] = types.F_PASSWORD
    password: bytes = field(repr=False)

    def _payload(self) -> bytes:
        return buffer.cstring(self.password)

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(reader.cstring())


@dataclass(frozen=True, slots=True)
class SASLInitialResponse(Message):
    """The mechanism that the client chose, and its first message (None: there is none yet)."""

    TYPE: ClassVar[int] = types.F_PASSWORD
    mechanism: str
    data: bytes | None = field(default=None, repr=False)

    def _payload(self) -> bytes:
        return buffer.text(self.mechanism) + buffer.value(self.data)

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(reader.text(), reader.value())
