"""SCRAM-SHA-256 as PostgreSQL speaks it, for both ends, without I/O.

Sources: RFC 5802, RFC 7677, PostgreSQL's auth-scram.c and fe-auth-scram.c. Not over scramp's
state machines, which refuse what PostgreSQL's clients and servers do: libpq sends an empty user
name (the startup packet has named it), `scram_iterations` may be below 4096, and a password
that SASLprep forbids is taken as it is. scramp gives SASLprep itself.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import Final

from dbopt.errors import AuthenticationError, ProtocolError
from dbopt.wire import buffer
from dbopt.wire.types import MAX_SASL_LENGTH

SCRAM_SHA_256: Final = "SCRAM-SHA-256"
SCRAM_SHA_256_PLUS: Final = "SCRAM-SHA-256-PLUS"

DEFAULT_ITERATIONS: Final = 4096
"""PostgreSQL's SCRAM_SHA_256_DEFAULT_ITERATIONS."""

MAX_ITERATIONS: Final = 1_000_000
"""Above it a hostile server would buy seconds of CPU with one message (CVE-2026-6665's kin)."""

_SALT_LENGTH: Final = 16  # PostgreSQL's SCRAM_DEFAULT_SALT_LEN
_NONCE_LENGTH: Final = 18  # PostgreSQL's SCRAM_RAW_NONCE_LEN, before base64
_KEY_LENGTH: Final = 32
_BINDING: Final = "p=tls-server-end-point"

_PRINTABLE: Final = r"[\x21-\x2b\x2d-\x7e]+"  # RFC 5802, section 7: printable, no comma
_BASE64: Final = r"[A-Za-z0-9+/]+={0,2}"
_CLIENT_FIRST: Final = re.compile(rf"(n|y|p=[A-Za-z0-9.-]+),,(n=[^,\0]*,r=({_PRINTABLE})(?:,.*)?)")
_SERVER_FIRST: Final = re.compile(rf"r=({_PRINTABLE}),s=({_BASE64}),i=([1-9][0-9]{{0,9}})(?:,.*)?")
_CLIENT_FINAL: Final = re.compile(rf"(c=({_BASE64}),r=({_PRINTABLE})(?:,.*)?),p=({_BASE64})")
_SERVER_FINAL: Final = re.compile(rf"v=({_BASE64})(?:,.*)?")
_VERIFIER: Final = re.compile(
    rf"SCRAM-SHA-256\$([1-9][0-9]{{0,9}}):({_BASE64})\$({_BASE64}):({_BASE64})"
)


@dataclass(frozen=True, slots=True)
class ScramVerifier:
    """What a server stores of a password. `str` of it is PostgreSQL's text, as in pg_authid."""

    iterations: int
    salt: bytes = field(repr=False)
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)

    def __str__(self) -> str:
        salt, stored, server = map(_encode64, (self.salt, self.stored_key, self.server_key))
        return f"SCRAM-SHA-256${self.iterations}:{salt}${stored}:{server}"


@dataclass(frozen=True, slots=True)
class ScramKeys:
    """What logs in instead of the password, to a server with the same salt and iterations."""

    client_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)


def parse_verifier(text: str) -> ScramVerifier:
    """The verifier that PostgreSQL or PgBouncer wrote as `text`.

    Raises ProtocolError, without the text, for one that is malformed.
    """
    match = _VERIFIER.fullmatch(text)
    if match is None:
        raise ProtocolError("malformed SCRAM verifier")
    stored, server = _decode64(match[3]), _decode64(match[4])
    if len(stored) != _KEY_LENGTH or len(server) != _KEY_LENGTH:
        raise ProtocolError("malformed SCRAM verifier: a key has not 32 bytes")
    return ScramVerifier(int(match[1]), _decode64(match[2]), stored, server)


def make_verifier(
    password: str, iterations: int = DEFAULT_ITERATIONS, salt: bytes | None = None
) -> ScramVerifier:
    """What to store of `password`; without a salt, with a random one. 4096 rounds take 1 ms."""
    salt = secrets.token_bytes(_SALT_LENGTH) if salt is None else salt
    client_key, server_key = _derive(password, salt, iterations)
    return ScramVerifier(iterations, salt, hashlib.sha256(client_key).digest(), server_key)


def keys_of(password: str, verifier: ScramVerifier) -> ScramKeys | None:
    """The keys, if this is the password of `verifier`; else None. Costs its iterations."""
    client_key, server_key = _derive(password, verifier.salt, verifier.iterations)
    stored = hashlib.sha256(client_key).digest()
    right = hmac.compare_digest(stored, verifier.stored_key)
    return ScramKeys(client_key, server_key) if right else None


def mock_verifier(
    user: str, mock_key: bytes, iterations: int = DEFAULT_ITERATIONS
) -> ScramVerifier:
    """The verifier of a user that has none: nobody has a password to its keys.

    No round of PBKDF2 is paid for it. `iterations` are to be those of the users that there are.
    """
    salt = mock_salt(mock_key, user)
    return ScramVerifier(iterations, salt, bytes(_KEY_LENGTH), bytes(_KEY_LENGTH))


def mock_salt(mock_key: bytes, user: str) -> bytes:
    """The salt of a user without a verifier: always the same, and not to be foretold.

    PostgreSQL's scram_mock_salt. A plain password's verifier takes this salt too, else a
    user with a password is told from one without by a salt that changes.
    """
    message = b"scram salt\0" + buffer.encode(user)
    return hmac.digest(mock_key, message, "sha256")[:_SALT_LENGTH]


class ScramServer:
    """The server's end, towards a client. `receive_first`, then `receive_final`.

    `secret` is a verifier, a plain password (derived here: 1 ms; better make the verifier once,
    with `mock_salt`), or None for a user that does not exist or cannot log in this way: then
    the whole exchange runs, and fails at the end as a wrong password does. `mock_key` is a
    secret of this gateway, of 32 random bytes; `mock_iterations` is what such a user is told.
    `channel_binding` is the hash of the TLS
    certificate (tls-server-end-point, RFC 5929) where SCRAM-SHA-256-PLUS is offered too.
    """

    def __init__(
        self,
        user: str,
        secret: ScramVerifier | str | None,
        *,
        mock_key: bytes,
        mock_iterations: int = DEFAULT_ITERATIONS,
        channel_binding: bytes = b"",
        nonce: str = "",
    ) -> None:
        self._user = user
        self._known = secret is not None
        self._verifier = _verifier_of(user, secret, mock_key, mock_iterations)
        self._binding = channel_binding
        self._nonce = nonce or _make_nonce()
        self._gs2_header = ""
        self._server_first = ""
        self._client_first_bare = ""
        self._keys: ScramKeys | None = None

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """What to offer in AuthenticationSASL."""
        return (SCRAM_SHA_256_PLUS, SCRAM_SHA_256) if self._binding else (SCRAM_SHA_256,)

    @property
    def keys(self) -> ScramKeys:
        """After success: what logs this user in elsewhere (SCRAM pass-through)."""
        if self._keys is None:
            raise AuthenticationError("the SCRAM exchange is not over")
        return self._keys

    def receive_first(self, mechanism: str, data: bytes | None) -> bytes:
        """Take the SASLInitialResponse; returns the data of AuthenticationSASLContinue.

        Raises ProtocolError for a malformed message or a mechanism that was not offered.
        """
        if self._server_first:
            raise ProtocolError("a second SCRAM client-first-message")
        if mechanism not in self.mechanisms:
            raise ProtocolError("the client chose a SASL mechanism that was not offered")
        match = _match(_CLIENT_FIRST, data or b"", "client-first-message")
        self._check_binding_flag(match[1], mechanism)
        self._gs2_header, self._client_first_bare = f"{match[1]},,", match[2]
        self._nonce = match[3] + self._nonce
        salt = _encode64(self._verifier.salt)
        self._server_first = f"r={self._nonce},s={salt},i={self._verifier.iterations}"
        return self._server_first.encode()

    def receive_final(self, data: bytes) -> bytes:
        """Take the SASLResponse; returns the data of AuthenticationSASLFinal.

        Raises ProtocolError for a malformed message, AuthenticationError for a wrong password
        and, with the same words, for an unknown user.
        """
        match = _match(_CLIENT_FINAL, data, "client-final-message")
        expected = self._gs2_header.encode() + self._bound_data()
        if not self._server_first or _decode64(match[2]) != expected or match[3] != self._nonce:
            raise ProtocolError("the SCRAM client-final-message does not belong to this exchange")
        auth_message = f"{self._client_first_bare},{self._server_first},{match[1]}".encode()
        client_key = self._client_key(_decode64(match[4]), auth_message)
        if client_key is None:
            raise _wrong_password(self._user)
        self._keys = ScramKeys(client_key, self._verifier.server_key)
        return b"v=" + base64.b64encode(_hmac(self._verifier.server_key, auth_message))

    def _client_key(self, proof: bytes, auth_message: bytes) -> bytes | None:
        """The client's key, if the proof shows that the client has it."""
        signature = _hmac(self._verifier.stored_key, auth_message)
        if len(proof) != _KEY_LENGTH:
            raise ProtocolError("malformed SCRAM proof")
        client_key = _xor(proof, signature)
        stored = hashlib.sha256(client_key).digest()
        right = hmac.compare_digest(stored, self._verifier.stored_key)
        return client_key if right and self._known else None

    def _check_binding_flag(self, flag: str, mechanism: str) -> None:
        """RFC 5802, section 6: a flag that does not fit the mechanism may be a downgrade."""
        if (mechanism == SCRAM_SHA_256_PLUS) != flag.startswith("p="):
            raise ProtocolError("the SCRAM channel binding flag does not fit the mechanism")
        if flag.startswith("p=") and flag != _BINDING:
            raise ProtocolError("only the SCRAM channel binding tls-server-end-point is supported")
        if flag == "y" and self._binding:
            raise ProtocolError("the client believes that channel binding is not offered; it is")

    def _bound_data(self) -> bytes:
        return self._binding if self._gs2_header.startswith("p=") else b""


class ScramClient:
    """The client's end, towards a server. `first`, `final`, then `verify`.

    `secret` is the password, or the keys that a ScramServer won from a client. `offered` are the
    server's mechanisms; with `channel_binding` (the hash of the server's certificate) the one
    with PLUS is taken where it is offered. Raises AuthenticationError if none fits.
    """

    def __init__(
        self,
        secret: str | ScramKeys,
        *,
        offered: tuple[str, ...] = (SCRAM_SHA_256,),
        channel_binding: bytes = b"",
        user: str = "",
        nonce: str = "",
    ) -> None:
        self._secret = secret
        self._binding = channel_binding
        self._nonce = nonce or _make_nonce()
        self._bare = f"n={_escape(user)},r={self._nonce}"
        self._server_signature = b""
        self.mechanism = _choose(offered, bool(channel_binding))

    def first(self) -> bytes:
        """The data of the SASLInitialResponse."""
        return (self._gs2_header + self._bare).encode()

    def final(self, server_first: bytes) -> bytes:
        """Take AuthenticationSASLContinue; returns the data of the SASLResponse.

        Costs the iterations that the server asks, 1 ms for 4096 and 0.2 s at most. Raises
        ProtocolError for a malformed message, another's nonce or more than MAX_ITERATIONS.
        """
        match = _match(_SERVER_FIRST, server_first, "server-first-message")
        nonce, salt, iterations = match[1], _decode64(match[2]), int(match[3])
        if not nonce.startswith(self._nonce) or len(nonce) == len(self._nonce):
            raise ProtocolError("the server's SCRAM nonce does not extend the client's")
        if iterations > MAX_ITERATIONS:
            raise ProtocolError(f"the server asks for more than {MAX_ITERATIONS} SCRAM iterations")
        without_proof = f"c={self._bound()},r={nonce}"
        auth_message = f"{self._bare},{match[0]},{without_proof}".encode()
        return f"{without_proof},p={self._prove(salt, iterations, auth_message)}".encode()

    def verify(self, server_final: bytes) -> None:
        """Take AuthenticationSASLFinal. Raises AuthenticationError if it is not the server that
        knows the password, ProtocolError for a malformed message or one too early.
        """
        if server_final.startswith(b"e="):
            raise AuthenticationError("the server ended the SCRAM exchange with an error")
        match = _match(_SERVER_FINAL, server_final, "server-final-message")
        if not self._server_signature:
            raise ProtocolError("the SCRAM server-final-message came too early")
        if not hmac.compare_digest(self._server_signature, _decode64(match[1])):
            raise AuthenticationError(
                "the server does not know the password: its SCRAM signature is wrong",
                hint="Check that this is the server that you mean.",
            )

    @property
    def _gs2_header(self) -> str:
        if self.mechanism == SCRAM_SHA_256_PLUS:
            return _BINDING + ",,"
        return "y,," if self._binding else "n,,"

    def _bound(self) -> str:
        data = self._binding if self.mechanism == SCRAM_SHA_256_PLUS else b""
        return _encode64(self._gs2_header.encode() + data)

    def _prove(self, salt: bytes, iterations: int, auth_message: bytes) -> str:
        if isinstance(self._secret, ScramKeys):
            client_key, server_key = self._secret.client_key, self._secret.server_key
        else:
            client_key, server_key = _derive(self._secret, salt, iterations)
        stored_key = hashlib.sha256(client_key).digest()
        self._server_signature = _hmac(server_key, auth_message)
        return _encode64(_xor(client_key, _hmac(stored_key, auth_message)))


def _choose(offered: tuple[str, ...], can_bind: bool) -> str:
    if can_bind and SCRAM_SHA_256_PLUS in offered:
        return SCRAM_SHA_256_PLUS
    if SCRAM_SHA_256 in offered:
        return SCRAM_SHA_256
    raise AuthenticationError("the server offers no SASL mechanism that dbopt speaks")


def _verifier_of(
    user: str, secret: ScramVerifier | str | None, mock_key: bytes, mock_iterations: int
) -> ScramVerifier:
    if isinstance(secret, ScramVerifier):
        return secret
    if secret is None:
        return mock_verifier(user, mock_key, mock_iterations)
    return make_verifier(secret, salt=mock_salt(mock_key, user))


def _derive(password: str, salt: bytes, iterations: int) -> tuple[bytes, bytes]:
    """The client key and the server key (RFC 5802, section 3)."""
    salted = hashlib.pbkdf2_hmac("sha256", _prepare(password), salt, iterations)
    return _hmac(salted, b"Client Key"), _hmac(salted, b"Server Key")


def _prepare(password: str) -> bytes:
    """SASLprep as PostgreSQL does it (pg_saslprep): ASCII, and what it forbids, stays as it is."""
    if password.isascii():
        return password.encode()
    from scramp import ScramException  # 60 ms to import, and needed for few passwords
    from scramp.utils import saslprep

    try:
        prepared: str = saslprep(password)
    except (ScramException, ValueError):
        prepared = ""
    return buffer.encode(prepared or password)


def _match(pattern: re.Pattern[str], data: bytes, what: str) -> re.Match[str]:
    if len(data) > MAX_SASL_LENGTH:
        raise ProtocolError(f"SCRAM {what}: longer than {MAX_SASL_LENGTH} bytes")
    try:
        match = pattern.fullmatch(data.decode())
    except UnicodeDecodeError:
        match = None
    if match is None:
        raise ProtocolError(f"malformed SCRAM {what}")
    return match


def _decode64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise ProtocolError("malformed base64 in a SCRAM message or verifier") from None


def _encode64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _escape(user: str) -> str:
    return user.replace("=", "=3D").replace(",", "=2C")


def _make_nonce() -> str:
    return _encode64(secrets.token_bytes(_NONCE_LENGTH))


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def _wrong_password(user: str) -> AuthenticationError:
    return AuthenticationError(f'password authentication failed for user "{user}"')
