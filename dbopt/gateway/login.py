"""A client's login, without I/O: startup packets in, replies out, until it is who it says.

Steps: startup → (TLS → startup) → (a secret is looked up) → (proof) → done. Who drives it does
what `step` says. Unknown users fail as wrong passwords do, at the end of the whole exchange.

Source: PostgreSQL's ProcessStartupPacket and ProcessSSLStartup (backend_startup.c).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from dbopt.errors import (
    AccessRefused,
    AuthenticationError,
    DboptError,
    FeatureNotSupported,
    ProtocolError,
    UnsupportedProtocol,
)
from dbopt.gateway.auth import Authenticator
from dbopt.gateway.exchange import Candidate, Exchange
from dbopt.gateway.userlist import Secret
from dbopt.wire import encode
from dbopt.wire.authentication import AuthenticationResponse
from dbopt.wire.codec import FrontendDecoder
from dbopt.wire.messages import CancelRequest, GSSENCRequest, SSLRequest, StartupMessage

_TLS_HANDSHAKE: Final = 0x16
"""The first byte of a TLS record that begins a handshake: no startup packet begins with it."""
_YES, _NO = b"S", b"N"
"""The one-byte answers to a request for encryption."""
_FALSE = frozenset(("", "false", "off", "no", "0"))


class Step(Enum):
    """What a login waits for."""

    CLIENT = auto()
    """More bytes of the client: give them to `receive`."""
    TLS = auto()
    """A TLS handshake: do it, then tell `encrypted`."""
    SECRET = auto()
    """What the user is checked against: look it up, then tell `found`."""
    DONE = auto()
    """Nothing: `user`, `database` and `parameters` say who came."""
    CANCEL = auto()
    """Nothing: `cancel` holds a CancelRequest."""


@dataclass(frozen=True, slots=True)
class Encryption:
    """Which encryption a client may and must have. `own_name`: its certificate names the user."""

    offered: bool = False
    required: bool = False
    own_name: bool = False


NO_ENCRYPTION: Final = Encryption()


class Login:
    """One client's way in. Feed `receive`; send what it returns; then look at `step`.

    Raises ProtocolError, AuthenticationError, AccessRefused or FeatureNotSupported: tell the
    client, and close.
    """

    __slots__ = (
        "_auth", "_binding", "_candidate", "_decoder", "_encryption", "_exchange", "_name",
        "_requested", "_response", "_tls", "cancel", "proven", "startup", "step",
    )  # fmt: skip

    def __init__(self, auth: Authenticator, encryption: Encryption = NO_ENCRYPTION) -> None:
        self.step = Step.CLIENT
        self.startup: StartupMessage | None = None
        self.cancel: CancelRequest | None = None
        self.proven: Secret | None = None
        self._auth = auth
        self._encryption = encryption
        self._decoder = FrontendDecoder()
        self._requested = False
        self._tls = False
        self._binding = b""
        self._name = ""
        self._exchange: Exchange | None = None
        self._candidate: Candidate | None = None
        self._response = b""

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

    def take_rest(self) -> bytes:
        """What was received and is for what comes after this step: a handshake, the session."""
        return self._decoder.take_rest()

    def receive(self, data: bytes) -> bytes:
        """Takes bytes of the client; gives what to answer."""
        if data and data[0] == _TLS_HANDSHAKE and self._may_be_direct():
            self._decoder.receive_data(data)
            self.step = Step.TLS
            return b""
        self._decoder.receive_data(data)
        return self._work()

    def encrypted(self, binding: bytes = b"", name: str = "") -> None:
        """TLS is spoken from here on.

        `binding` is the hash of our certificate, for SCRAM-SHA-256-PLUS; `name` the common
        name of the client's, if it showed one.
        """
        self._decoder = FrontendDecoder()
        self._tls = True
        self._binding, self._name = binding, name
        self.step = Step.CLIENT

    def found(self, candidate: Candidate) -> bytes:
        """What the user is checked against; gives what to answer."""
        self.step = Step.CLIENT
        return self._check_against(candidate) + self._work()

    def _may_be_direct(self) -> bool:
        first = not (self._tls or self._requested or self._decoder.buffered)
        return first and self.startup is None and self._encryption.offered

    def _work(self) -> bytes:
        answers: list[bytes] = []
        while self.step is Step.CLIENT:
            event = self._decoder.next_event()
            if event is None:
                break
            answers.append(self._event(event))
        return b"".join(answers)

    def _event(self, event: object) -> bytes:
        match event:
            case SSLRequest() | GSSENCRequest():
                return self._answer_request(isinstance(event, SSLRequest))
            case CancelRequest():
                self.cancel = event
                self.step = Step.CANCEL
                return b""
            case StartupMessage():
                return self._started(event)
            case AuthenticationResponse() if self._exchange is not None:
                return self._prove(self._exchange, event.data)
        raise ProtocolError(f"A {type(event).__name__} came while the client was logging in.")

    def _answer_request(self, ssl: bool) -> bytes:
        if self._tls:  # as PostgreSQL, which takes such a request for a protocol it has not
            raise ProtocolError("The client asks for encryption on a connection that has it.")
        if self._decoder.buffered:
            # It came unencrypted, perhaps of another than the client, and would be taken for
            # something that was encrypted (CVE-2021-3935, CVE-2021-23214).
            raise ProtocolError("The client sent data right behind its request for encryption.")
        self._requested = True
        if not (ssl and self._encryption.offered):
            return _NO
        self.step = Step.TLS
        return _YES

    def _started(self, startup: StartupMessage) -> bytes:
        if self._encryption.required and not self._tls:
            raise AccessRefused(
                "The gateway requires encryption: SSL required.",
                hint="Connect with sslmode=require or stronger.",
            )
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
        if self._auth.trust:
            return answer + self._finish()
        candidate = self._auth.candidate(startup.database, startup.user)
        if candidate is None:
            self.step = Step.SECRET
            return answer
        return answer + self._check_against(candidate)

    def _check_against(self, candidate: Candidate) -> bytes:
        self._candidate = candidate
        if self._exchange is not None:  # a password was wrong by an older answer
            response, exchange = self._response, self._exchange
            exchange.check_against(candidate)
            return self._answered(exchange, exchange.receive(response))
        self._exchange = self._auth.exchange(self.user, candidate, self._binding)
        return self._exchange.first()

    def _prove(self, exchange: Exchange, data: bytes) -> bytes:
        try:
            answer = exchange.receive(data)
        except AuthenticationError:
            old = self._candidate is not None and self._auth.is_old(self._candidate)
            if not (old and exchange.repeatable):
                self._auth.failed(self.database, self.user)
                raise
            self._response = data
            self.step = Step.SECRET
            return b""
        return self._answered(exchange, answer)

    def _answered(self, exchange: Exchange, answer: bytes) -> bytes:
        if not exchange.done:
            return answer
        self.proven = exchange.proven
        return answer + self._finish()

    def _finish(self) -> bytes:
        if self._encryption.own_name and self._tls and self._name != self.user:
            raise AccessRefused(
                f'The certificate of the client is not of user "{self.user}".',
                hint="gateway.tls_mode verify-full wants the user as its common name.",
            )
        self.step = Step.DONE
        self._decoder.authenticated()
        return encode.authentication_ok()


def refusal(error: DboptError, sqlstate: str) -> bytes:
    """What tells a client that it is not let in; one that speaks protocol 2, in its own words."""
    if isinstance(error, UnsupportedProtocol) and error.major < 3:
        return encode.old_error(error.message)
    return encode.error_fields("FATAL", sqlstate, error.message, hint=error.hint)
