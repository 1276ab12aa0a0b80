"""A client's login, without I/O: startup packets in, replies out, until it is who it says.

One table of steps: startup → (authentication) → done. Unknown users fail as wrong passwords
do, at the end of the whole exchange.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dbopt.errors import AuthenticationError, FeatureNotSupported, ProtocolError
from dbopt.gateway.scram import ScramServer, ScramVerifier
from dbopt.wire import encode
from dbopt.wire.authentication import AuthenticationResponse, SASLInitialResponse, SASLResponse
from dbopt.wire.codec import FrontendDecoder
from dbopt.wire.messages import CancelRequest, GSSENCRequest, SSLRequest, StartupMessage

_NO = b"N"
"""The one-byte answer to a request for encryption that is not offered."""
_FALSE = frozenset(("", "false", "off", "no", "0"))


@dataclass(slots=True)
class Verifiers:
    """What clients are checked against: SCRAM verifiers by user, None where all are trusted."""

    by_user: Mapping[str, ScramVerifier | None] | None
    mock_key: bytes


class Login:
    """One client's way in.

    Feed `receive`; send what it returns. Then `cancel` holds a CancelRequest, or `user`,
    `database` and `parameters` who came, once `done`. Raises ProtocolError,
    AuthenticationError or FeatureNotSupported: tell the client, and close.
    """

    def __init__(self, verifiers: Verifiers) -> None:
        self._verifiers = verifiers
        self._decoder = FrontendDecoder()
        self._scram: ScramServer | None = None
        self._challenged = False
        self.startup: StartupMessage | None = None
        self.cancel: CancelRequest | None = None
        self.done = False

    @property
    def user(self) -> str:
        """Who logs in; "" before the startup packet."""
        return self.startup.user if self.startup else ""

    @property
    def database(self) -> str:
        """The database asked for; "" before the startup packet."""
        return self.startup.database if self.startup else ""

    @property
    def parameters(self) -> dict[str, str]:
        """All that the startup packet asks for."""
        return self.startup.parameters if self.startup else {}

    def receive(self, data: bytes) -> bytes:
        """Takes bytes of the client; gives what to answer. After `done`, `rest` is left."""
        self._decoder.receive_data(data)
        answers: list[bytes] = []
        while not self.done and self.cancel is None:
            event = self._decoder.next_event()
            if event is None:
                break
            answers.append(self._step(event))
        return b"".join(answers)

    @property
    def rest(self) -> int:
        """Bytes at the end of what was received that belong to the session to come."""
        return self._decoder.buffered

    def _step(self, event: object) -> bytes:
        match event:
            case SSLRequest() | GSSENCRequest():
                return _NO
            case CancelRequest():
                self.cancel = event
                return b""
            case StartupMessage():
                return self._started(event)
            case AuthenticationResponse() if self._scram is not None:
                return self._authenticate(self._scram, event.data)
        raise ProtocolError(f"A {type(event).__name__} came while the client was logging in.")

    def _started(self, startup: StartupMessage) -> bytes:
        if not startup.user:
            raise AuthenticationError("The startup packet names no user.")
        if startup.parameters.get("replication", "").lower() not in _FALSE:
            raise FeatureNotSupported(
                "Replication connections are not pooled.",
                hint="Connect to the PostgreSQL server itself.",
            )
        self.startup = startup
        answer = b""
        if startup.minor or startup.protocol_options:
            answer = encode.negotiate_protocol_version(0, startup.protocol_options)
        users = self._verifiers.by_user
        if users is None:
            return answer + self._finish()
        self._scram = ScramServer(
            startup.user, users.get(startup.user), mock_key=self._verifiers.mock_key
        )
        return answer + encode.authentication_sasl(self._scram.mechanisms)

    def _authenticate(self, scram: ScramServer, data: bytes) -> bytes:
        if not self._challenged:
            self._challenged = True
            initial = SASLInitialResponse.parse(data)
            first = scram.receive_first(initial.mechanism, initial.data)
            return encode.authentication_sasl_continue(first)
        final = scram.receive_final(SASLResponse.parse(data).data)
        return encode.authentication_sasl_final(final) + self._finish()

    def _finish(self) -> bytes:
        self.done = True
        self._decoder.authenticated()
        return encode.authentication_ok()
