"""A backend's login to the server, without I/O: messages in, answers out, until it is ready."""

from __future__ import annotations

from dbopt.errors import AuthenticationError, DboptError, ProtocolError, ServerRefused
from dbopt.gateway.scram import ScramClient
from dbopt.gateway.target import Target
from dbopt.wire import encode
from dbopt.wire.authentication import (
    Authentication,
    AuthenticationCleartextPassword,
    AuthenticationMD5Password,
    AuthenticationOk,
    AuthenticationSASL,
    AuthenticationSASLContinue,
    AuthenticationSASLFinal,
)
from dbopt.wire.backend import BackendKeyData, ParameterStatus, ReadyForQuery
from dbopt.wire.codec import BackendDecoder
from dbopt.wire.md5 import md5_response, md5_secret
from dbopt.wire.report import ErrorResponse


class BackendLogin:
    """One login. Send `first()`, then what `receive` returns, until `done`."""

    def __init__(self, target: Target, application_name: str) -> None:
        self._target = target
        self._application_name = application_name
        self._decoder = BackendDecoder()
        self._scram: ScramClient | None = None
        self._authenticated = False
        self.parameters: dict[str, str] = {}
        self.pid = 0
        self.secret = b""
        self.done = False

    def first(self) -> bytes:
        """The startup packet."""
        return encode.startup(
            {
                "user": self._target.user,
                "database": self._target.database,
                "application_name": self._application_name,
            }
        )

    def receive(self, data: bytes) -> bytes:
        """Takes bytes of the server; gives what to answer.

        Raises ServerRefused, AuthenticationError or ProtocolError.
        """
        self._decoder.receive_data(data)
        return b"".join(self._step(event) for event in self._decoder)

    def _step(self, event: object) -> bytes:
        match event:
            case ErrorResponse():
                raise self._refused(event)
            case Authentication():
                return self._authenticate(event)
            case ParameterStatus():
                self.parameters[event.name] = event.value
            case BackendKeyData():
                self.pid, self.secret = event.pid, event.secret
            case ReadyForQuery() if self._authenticated:
                self.done = True
        return b""

    def _authenticate(self, event: Authentication) -> bytes:
        match event:
            case AuthenticationOk():
                self._check_server_proved_itself()
                self._authenticated = True
                return b""
            case AuthenticationCleartextPassword():
                return encode.password(self._password().encode())
            case AuthenticationMD5Password():
                stored = md5_secret(self._target.user, self._password())
                return encode.password(md5_response(stored, event.salt))
            case AuthenticationSASL():
                self._scram = ScramClient(self._password(), offered=tuple(event.mechanisms))
                return encode.sasl_initial_response(self._scram.mechanism, self._scram.first())
            case AuthenticationSASLContinue() if self._scram is not None:
                return encode.sasl_response(self._scram.final(event.data))
            case AuthenticationSASLFinal() if self._scram is not None:
                self._scram.verify(event.data)
                self._scram = None
                return b""
        raise AuthenticationError(
            f"PostgreSQL at {self._target} asks for {type(event).__name__}, "
            "which dbopt cannot give.",
            hint="Use scram-sha-256, md5, password or trust in its pg_hba.conf for dbopt.",
        )

    def _check_server_proved_itself(self) -> None:
        if self._scram is not None:
            raise ProtocolError("The server ended the SCRAM exchange before it proved itself.")

    def _password(self) -> str:
        if not self._target.password:
            raise AuthenticationError(
                f"PostgreSQL at {self._target} wants a password, and dbopt has none for this user.",
                hint="Put it into gateway.userlist in plain form, or into server.dsn.",
            )
        return self._target.password

    def _refused(self, error: ErrorResponse) -> DboptError:
        # The message of a refused login names user and database, never a literal.
        return ServerRefused(
            f"PostgreSQL at {self._target} refused the connection: {error.message}", error.sqlstate
        )
