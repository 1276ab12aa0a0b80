"""A backend's login to the server, without I/O: messages in, answers out, until it is ready.

The server may be hostile: each step is taken once, and all of it has a limit of bytes.
"""

from __future__ import annotations

from typing import Final

from dbopt.errors import (
    AuthenticationError,
    ConnectError,
    DboptError,
    ProtocolError,
    ServerRefused,
)
from dbopt.gateway import session_attrs
from dbopt.gateway.channel_binding import certificate_hash
from dbopt.gateway.scram import SCRAM_SHA_256_PLUS, ScramClient
from dbopt.gateway.target import Target
from dbopt.wire import encode
from dbopt.wire.authentication import (
    Authentication,
    AuthenticationCleartextPassword,
    AuthenticationGSS,
    AuthenticationMD5Password,
    AuthenticationOk,
    AuthenticationSASL,
    AuthenticationSASLContinue,
    AuthenticationSASLFinal,
    AuthenticationSSPI,
)
from dbopt.wire.backend import (
    BackendKeyData,
    CopyBothResponse,
    CopyInResponse,
    DataRow,
    NegotiateProtocolVersion,
    ParameterStatus,
    ReadyForQuery,
)
from dbopt.wire.codec import BackendDecoder
from dbopt.wire.md5 import md5_response, md5_secret
from dbopt.wire.report import ErrorResponse, NoticeResponse
from dbopt.wire.types import IDLE

MAX_LOGIN_BYTES: Final = 1 << 20
"""All that a server may send before a client is served, connect_query's answer included."""

_MAX_REASON: Final = 500
"""Characters of a server's message that are passed on."""

_REQUIRE_AUTH: Final[dict[type[Authentication], str]] = {
    AuthenticationCleartextPassword: "password",
    AuthenticationMD5Password: "md5",
    AuthenticationSASL: "scram-sha-256",
    AuthenticationGSS: "gss",
    AuthenticationSSPI: "sspi",
}
"""What require_auth calls that which a server asks for."""


class UnsuitableServer(ConnectError):
    """The server is not one that target_session_attrs wants."""


class BackendLogin:
    """One login. Send `first()`, then what `receive` returns, until `done`.

    `certificate` is the server's, as DER, where the connection has TLS. `session_attrs` is one
    of those that session_attrs.passes gives; `connect_query` is run when all else is done.
    """

    def __init__(
        self,
        target: Target,
        *,
        certificate: bytes = b"",
        session_attrs: str = session_attrs.ANY,
        connect_query: str = "",
    ) -> None:
        self._target = target
        self._certificate = certificate
        self._session_attrs = session_attrs
        self._connect_query = connect_query
        self._decoder = BackendDecoder()
        self._received = 0
        self._scram: ScramClient | None = None
        self._challenged = False
        self._asked = False
        self._bound = False
        self._authenticated = False
        self._query = ""
        self._answer: bytes | None = None
        self.parameters: dict[str, str] = {}
        self.pid = 0
        self.secret = b""
        self.done = False

    def first(self) -> bytes:
        """The startup packet, of protocol 3.0."""
        names = {"user": self._target.user, "database": self._target.database}
        return encode.startup(names | dict(self._target.options.startup))

    def receive(self, data: bytes) -> bytes:
        """Takes bytes of the server; gives what to answer.

        Raises ServerRefused, AuthenticationError, ProtocolError, or UnsuitableServer.
        """
        self._received += len(data)
        if self._received > MAX_LOGIN_BYTES:
            raise ProtocolError(
                f"PostgreSQL at {self._target} sent more than {MAX_LOGIN_BYTES} bytes "
                "before it let a session begin.",
                hint="Is this PostgreSQL? A connect_query must not return that much.",
            )
        self._decoder.receive_data(data)
        return b"".join(self._step(event) for event in self._decoder)

    @property
    def unread(self) -> bytes:
        """What came after the end of the login, and belongs to the session. Read it once."""
        return self._decoder.take_rest()

    def _step(self, event: object) -> bytes:
        match event:
            case ErrorResponse():
                raise self._refused(event)
            case Authentication() if not self._authenticated:
                return self._authenticate(event)
            case NegotiateProtocolVersion() if not self._authenticated:
                self._check_version(event)
            case NoticeResponse():
                pass
            case _ if not self._authenticated:
                raise self._out_of_turn(event)
            case ParameterStatus():
                self.parameters[event.name] = event.value
            case BackendKeyData():
                self.pid, self.secret = event.pid, event.secret
            case ReadyForQuery():
                return self._ready(event)
            case _:
                self._read_answer(event)
        return b""

    # Authentication

    def _authenticate(self, event: Authentication) -> bytes:
        match event:
            case AuthenticationOk():
                self._check_ok()
                return b""
            case AuthenticationSASLContinue() if self._scram is not None and not self._challenged:
                self._challenged = True  # a second one would buy its iterations again
                return encode.sasl_response(self._scram.final(event.data))
            case AuthenticationSASLFinal() if self._scram is not None:
                self._scram.verify(event.data)
                self._bound = self._scram.mechanism == SCRAM_SHA_256_PLUS
                self._scram = None
                return b""
        self._check_method(event)
        return self._prove(event)

    def _prove(self, event: Authentication) -> bytes:
        match event:
            case AuthenticationCleartextPassword():
                return encode.password(self._password().encode("utf-8", "surrogateescape"))
            case AuthenticationMD5Password():
                return encode.password(md5_response(self._md5(), event.salt))
            case AuthenticationSASL():
                return self._begin_scram(event)
        raise AuthenticationError(
            f"PostgreSQL at {self._target} asks for {type(event).__name__}, "
            "which dbopt cannot give.",
            hint="Use scram-sha-256, md5, password, cert or trust in its pg_hba.conf for dbopt.",
        )

    def _check_method(self, event: Authentication) -> None:
        """One method a login, and only one that require_auth and channel_binding allow."""
        if self._asked:
            raise ProtocolError(f"PostgreSQL at {self._target} asks for a second authentication.")
        self._asked = True
        method = _REQUIRE_AUTH.get(type(event), type(event).__name__)
        if method in _REQUIRE_AUTH.values() and method not in self._target.options.methods:
            raise AuthenticationError(
                f"PostgreSQL at {self._target} asks for {method}, which require_auth forbids.",
                hint="Somebody may stand in between; else change require_auth or pg_hba.conf.",
            )
        if self._binding_required and method != "scram-sha-256":
            raise self._not_bound()

    def _begin_scram(self, event: AuthenticationSASL) -> bytes:
        options = self._target.options
        bound = bool(self._certificate) and options.channel_binding != "disable"
        binding = certificate_hash(self._certificate) if bound else b""
        self._scram = ScramClient(
            self._target.keys or self._password(),
            offered=tuple(event.mechanisms),
            channel_binding=binding,
        )
        if self._binding_required and self._scram.mechanism != SCRAM_SHA_256_PLUS:
            raise self._not_bound()
        return encode.sasl_initial_response(self._scram.mechanism, self._scram.first())

    def _check_ok(self) -> None:
        if self._scram is not None:
            raise ProtocolError("The server ended the SCRAM exchange before it proved itself.")
        if self._binding_required and not self._bound:
            raise self._not_bound()
        if not self._asked and "none" not in self._target.options.methods:
            raise AuthenticationError(
                f"PostgreSQL at {self._target} asks for no password, which require_auth forbids.",
                hint="Somebody may stand in between; else change require_auth or pg_hba.conf.",
            )
        self._authenticated = True

    @property
    def _binding_required(self) -> bool:
        return self._target.options.channel_binding == "require"

    def _not_bound(self) -> DboptError:
        return AuthenticationError(
            f"PostgreSQL at {self._target} does not bind the login to its TLS certificate, as "
            "channel_binding=require demands.",
            hint="It needs TLS, scram-sha-256 in pg_hba.conf and a certificate that is not "
            "signed with Ed25519. Somebody may stand in between.",
        )

    def _password(self) -> str:
        if not self._target.password:
            raise AuthenticationError(
                f"PostgreSQL at {self._target} wants a password, and dbopt has none for this user.",
                hint="Put it into gateway.userlist in plain form, server.dsn or the password file.",
            )
        return self._target.password

    def _md5(self) -> str:
        return self._target.md5 or md5_secret(self._target.user, self._password())

    def _check_version(self, event: NegotiateProtocolVersion) -> None:
        """We ask for 3.0 without options; there is nothing below, and none above was asked."""
        if event.minor != 0 or event.unrecognised:
            raise ProtocolError(
                f"PostgreSQL at {self._target} wants to speak protocol 3.{event.minor}, "
                "and was asked for 3.0."
            )

    # When it is ready: is it the right server, and connect_query

    def _ready(self, event: ReadyForQuery) -> bytes:
        if event.status != IDLE:
            raise ServerRefused(
                f"connect_query left a transaction open on PostgreSQL at {self._target}.", "25001"
            )
        if self._query == "probe":
            self._check_suits(session_attrs.answer_suits(self._session_attrs, self._answer))
        elif not self._query and not self.done:
            suits = session_attrs.suits(self._session_attrs, self.parameters)
            if suits is None:
                self._query = "probe"
                return encode.query(session_attrs.question(self._session_attrs))
            self._check_suits(suits)
        if self._query != "connect" and self._connect_query:
            self._query = "connect"
            return encode.query(self._connect_query.encode())
        self.done = True
        return b""

    def _check_suits(self, suits: bool) -> None:
        if not suits:
            raise UnsuitableServer(
                f"PostgreSQL at {self._target} is not what target_session_attrs="
                f"{self._session_attrs} wants."
            )

    def _read_answer(self, event: object) -> None:
        if not self._query and not self.done:
            raise self._out_of_turn(event)
        if isinstance(event, DataRow):
            self._answer = event.values[0] if event.values else None
        elif isinstance(event, (CopyInResponse, CopyBothResponse)):
            raise ServerRefused("connect_query waits for data of a COPY.", "0A000")

    def _out_of_turn(self, event: object) -> DboptError:
        return ProtocolError(
            f"PostgreSQL at {self._target} sent {type(event).__name__} during the login."
        )

    def _refused(self, error: ErrorResponse) -> DboptError:
        # The message of a refused login names user and database, never a literal.
        if self._query == "connect":
            return ServerRefused(
                f"PostgreSQL at {self._target} refused connect_query (SQLSTATE {error.sqlstate}).",
                error.sqlstate,
            )
        reason = error.message[:_MAX_REASON]
        return ServerRefused(
            f"PostgreSQL at {self._target} refused the connection: {reason}", error.sqlstate
        )
