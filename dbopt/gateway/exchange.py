"""How one client proves who it is: SCRAM, MD5 or the password itself. Without I/O.

An exchange begins with what `first` gives, and takes the client's answers until it is `done`;
then `proven` is what logs this user in to the server. It raises AuthenticationError where the
proof is wrong, with the same words for a user that does not exist.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from dbopt.errors import AuthenticationError
from dbopt.gateway.scram import (
    DEFAULT_ITERATIONS,
    ScramServer,
    ScramVerifier,
    keys_of,
    parse_verifier,
)
from dbopt.gateway.userlist import Secret, SecretKind
from dbopt.wire import buffer, encode
from dbopt.wire.authentication import PasswordMessage, SASLInitialResponse, SASLResponse
from dbopt.wire.md5 import md5_matches, md5_secret

MAX_PLAIN_ITERATIONS: Final = 100_000
"""A password in clear text is not checked against a verifier of more: it would hold the worker
up for longer than 50 ms, and whoever may set a role's password chooses the number."""
MAX_PASSWORD: Final = 8192
"""Bytes of a password in clear text; a user list's line holds no longer one. SASLprep of one
that is not ASCII takes 10 ms for these, and 100 ms for all that a message may hold."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a client that gives a user's name is checked against.

    `secret` is None for a user that does not exist, or cannot log in. `asked` is when
    auth_query told, in seconds of the clock; 0 for who is in the userlist.
    """

    secret: Secret | None
    verifier: ScramVerifier | None = field(default=None, repr=False)
    asked: float = 0.0


class Exchange(Protocol):
    """See the module. `repeatable`: the answer can be checked against another secret too."""

    done: bool
    proven: Secret | None
    repeatable: bool

    def first(self) -> bytes:
        """What asks the client for its proof."""

    def receive(self, data: bytes) -> bytes:
        """Takes the client's answer; gives what to send. See the module for what it raises."""

    def check_against(self, candidate: Candidate) -> None:
        """From now on check against this."""


class ScramExchange:
    """SCRAM-SHA-256, and -PLUS where there is a channel to bind to."""

    __slots__ = ("_challenged", "_scram", "_secret", "_user", "done", "proven")
    repeatable = False  # the proof is made with the salt of one verifier

    def __init__(
        self,
        user: str,
        candidate: Candidate,
        mock_key: bytes,
        binding: bytes,
        mock_iterations: int = DEFAULT_ITERATIONS,
    ) -> None:
        self.done = False
        self.proven: Secret | None = None
        self._user = user
        self._secret = candidate.secret
        self._scram = ScramServer(
            user, candidate.verifier, mock_key=mock_key, mock_iterations=mock_iterations,
            channel_binding=binding,
        )  # fmt: skip
        self._challenged = False

    def first(self) -> bytes:
        """See Exchange."""
        return encode.authentication_sasl(self._scram.mechanisms)

    def receive(self, data: bytes) -> bytes:
        """See Exchange."""
        if not self._challenged:
            self._challenged = True
            initial = SASLInitialResponse.parse(data)
            first = self._scram.receive_first(initial.mechanism, initial.data)
            return encode.authentication_sasl_continue(first)
        final = self._scram.receive_final(SASLResponse.parse(data).data)
        self.done = True
        if self._secret is not None and self._secret.kind is SecretKind.SCRAM:
            self.proven = replace(self._secret, keys=self._scram.keys)
        else:
            self.proven = self._secret
        return encode.authentication_sasl_final(final)

    def check_against(self, candidate: Candidate) -> None:
        """See Exchange: it cannot be, once the salt is told."""
        raise wrong_password(self._user)


class Md5Exchange:
    """PostgreSQL's md5 method, for secrets that are plain or MD5."""

    __slots__ = ("_salt", "_secret", "_user", "done", "proven")
    repeatable = True

    def __init__(self, user: str, candidate: Candidate) -> None:
        self.done = False
        self.proven: Secret | None = None
        self._user = user
        self._secret = candidate.secret
        self._salt = secrets.token_bytes(4)

    def first(self) -> bytes:
        """See Exchange."""
        return encode.authentication_md5(self._salt)

    def receive(self, data: bytes) -> bytes:
        """See Exchange. The empty password, written out or hashed, lets nobody in."""
        response = PasswordMessage.parse(data).password
        empty = md5_secret(self._user, "")
        stored = _md5_of(self._user, self._secret)
        right = md5_matches(stored, self._salt, response)
        if not right or stored == empty or self._secret is None:
            raise wrong_password(self._user)
        self.done = True
        self.proven = self._secret
        return b""

    def check_against(self, candidate: Candidate) -> None:
        """See Exchange. A SCRAM secret cannot be checked so: the next login is asked by SCRAM."""
        scram = candidate.secret is not None and candidate.secret.kind is SecretKind.SCRAM
        self._secret = None if scram else candidate.secret


class PlainExchange:
    """The password in clear text, checked against a secret of any kind."""

    __slots__ = ("_candidate", "_user", "done", "proven")
    repeatable = True

    def __init__(self, user: str, candidate: Candidate) -> None:
        self.done = False
        self.proven: Secret | None = None
        self._user = user
        self._candidate = candidate

    def first(self) -> bytes:
        """See Exchange."""
        return encode.authentication_cleartext()

    def receive(self, data: bytes) -> bytes:
        """See Exchange. A SCRAM secret costs its iterations: 1 ms for 4096."""
        password = PasswordMessage.parse(data).password
        self.proven = self._checked(password) if 0 < len(password) <= MAX_PASSWORD else None
        if self.proven is None:
            raise wrong_password(self._user)
        self.done = True
        return b""

    def check_against(self, candidate: Candidate) -> None:
        """See Exchange."""
        self._candidate = candidate

    def _checked(self, password: bytes) -> Secret | None:
        """The secret, if this is its password, with the keys that can be made of it."""
        secret, verifier = self._candidate.secret, self._candidate.verifier
        text = buffer.decode(password)
        if secret is not None and secret.kind is SecretKind.MD5:
            right = hmac.compare_digest(md5_secret(self._user, text), secret.value)
            return secret if right else None
        if secret is not None and secret.kind is SecretKind.PLAIN:
            return secret if hmac.compare_digest(buffer.encode(secret.value), password) else None
        # Who does not exist has a mock verifier, and so costs as much time as who does.
        if verifier is None or verifier.iterations > MAX_PLAIN_ITERATIONS:
            return None
        keys = keys_of(text, verifier)
        return replace(secret, keys=keys) if secret is not None and keys is not None else None


def candidate_of(secret: Secret, asked: float = 0.0) -> Candidate:
    """What checks a client by a secret; a plain one's verifier is made when it is needed.

    Raises ProtocolError for a SCRAM verifier that is malformed.
    """
    scram = secret.kind is SecretKind.SCRAM
    return Candidate(secret, parse_verifier(secret.value) if scram else None, asked)


def wrong_password(user: str) -> AuthenticationError:
    """The one answer to a wrong proof, an unknown user and one without a secret."""
    return AuthenticationError(f'password authentication failed for user "{user}"')


def _md5_of(user: str, secret: Secret | None) -> str:
    if secret is None:
        return md5_secret(user, "")
    return secret.value if secret.kind is SecretKind.MD5 else md5_secret(user, secret.value)
