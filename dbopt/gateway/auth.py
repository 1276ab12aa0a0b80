"""Authenticator: who may log in, and by which method. Without I/O.

It knows the user list; where that lacks a user, a Directory (auth_query) is asked. It also
keeps what clients have proved themselves with, for the server connections of the same user.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Final, Protocol

from dbopt.gateway.exchange import (
    Candidate,
    Exchange,
    Md5Exchange,
    PlainExchange,
    ScramExchange,
    candidate_of,
)
from dbopt.gateway.scram import (
    DEFAULT_ITERATIONS,
    ScramVerifier,
    mock_verifier,
    parse_verifier,
)
from dbopt.gateway.userlist import Secret, SecretKind, Userlist

MAX_PROVEN: Final = 10_000
"""Pairs of database and user whose proof is kept; a client may name any database."""
_NAMED: Final = 5
"""Users that a warning names at most."""


class Directory(Protocol):
    """Where users are looked up that the user list lacks."""

    def known(self, database: str, user: str) -> Candidate | None:
        """What was found not long ago; None where it must be asked."""

    def is_old(self, candidate: Candidate) -> bool:
        """Whether another may be found if it is asked again."""

    def distrust(self, database: str, user: str) -> None:
        """A login failed: what is known may be out of date."""


class Authenticator:
    """The users, the method, and what has been proved. See the module.

    `auth_type` is the setting's: trust, scram-sha-256, md5 or plain. `mock_key` makes the
    salts of users that do not exist.
    """

    def __init__(
        self,
        auth_type: str,
        users: Userlist,
        mock_key: bytes,
        directory: Directory | None = None,
    ) -> None:
        self.trust = auth_type == "trust"
        self.users = users
        self.directory = directory
        self._auth_type = auth_type
        self._mock_key = mock_key
        self._candidates: dict[str, Candidate] = {}
        self._verifiers: dict[tuple[str, str], ScramVerifier] = {}
        self._proven: dict[tuple[str, str], Secret] = {}
        self._iterations = _usual_iterations(users)
        self._unknown_has_scram = directory is not None or _mostly_scram(users)

    def candidate(self, database: str, user: str) -> Candidate | None:
        """What to check a client of that name against; None where the directory must be asked."""
        found = self._candidates.get(user)
        if found is None and user in self.users:
            found = self._candidates[user] = candidate_of(self.users[user])
        if found is not None:
            return found
        if self.directory is None:
            return Candidate(None)
        return self.directory.known(database, user)

    def is_old(self, candidate: Candidate) -> bool:
        """Whether the directory may have another answer by now."""
        return self.directory is not None and self.directory.is_old(candidate)

    def failed(self, database: str, user: str) -> None:
        """A login failed, perhaps because the password is another than the directory knew."""
        if self.directory is not None:
            self.directory.distrust(database, user)

    def exchange(self, user: str, candidate: Candidate, binding: bytes) -> Exchange:
        """The exchange that proves a client; `binding` is the certificate's hash under TLS.

        A secret that SCRAM cannot be done with fails as a wrong password, and md5 is done
        with a SCRAM secret by SCRAM, as PgBouncer and PostgreSQL do.
        """
        secret = candidate.secret
        if not self._iterations and candidate.verifier is not None:
            self._iterations = candidate.verifier.iterations  # the first that auth_query gave
        scram = secret.kind is SecretKind.SCRAM if secret else self._unknown_has_scram
        if self._auth_type == "plain":
            if secret is None and scram:
                mock = mock_verifier(user, self._mock_key, self._mock_iterations)
                candidate = replace(candidate, verifier=mock)
            return PlainExchange(user, candidate)
        if self._auth_type == "md5" and not scram:
            return Md5Exchange(user, candidate)
        return ScramExchange(
            user, self._with_verifier(user, candidate), self._mock_key, binding,
            self._mock_iterations,
        )  # fmt: skip

    @property
    def _mock_iterations(self) -> int:
        """Those of the users that there are: another number would tell who is none of them."""
        return self._iterations or DEFAULT_ITERATIONS

    def _with_verifier(self, user: str, candidate: Candidate) -> Candidate:
        """A plain secret's verifier takes a millisecond to make: it is kept."""
        secret = candidate.secret
        if secret is None or candidate.verifier is not None:
            return candidate
        key = (user, secret.value)
        verifier = self._verifiers.get(key)
        if verifier is None:
            verifier = secret.verifier(user, self._mock_key)
            if verifier is None:  # md5, or the empty password: SCRAM cannot be done with it
                return Candidate(None)
            self._verifiers[key] = verifier
        return replace(candidate, verifier=verifier)

    # Towards the server

    def prove(self, database: str, user: str, secret: Secret | None) -> None:
        """A client has logged in with this: it logs its user in to the server, too."""
        if secret is None:
            return
        self._proven.pop((database, user), None)  # at the end again, as the latest
        if len(self._proven) >= MAX_PROVEN:
            self._proven.pop(next(iter(self._proven)))
        self._proven[database, user] = secret

    def forget(self, database: str, user: str) -> None:
        """The server refused what was proved: the password there is another by now."""
        self._proven.pop((database, user), None)
        self.failed(database, user)

    def remember(self, before: Authenticator) -> None:
        """Take over what was proved before a reload, but of users whose secret is another now."""
        for (database, user), secret in before._proven.items():
            if before.users.get(user) == self.users.get(user):
                self.prove(database, user, secret)

    def server_secret(self, database: str, user: str) -> Secret | None:
        """What logs a user in to the server: what its clients proved, or what the list says."""
        return self._proven.get((database, user)) or self.users.get(user)

    # Words for the log

    def warnings(self) -> list[str]:
        """What the operator should know of the user list."""
        if self._auth_type != "scram-sha-256":
            return []
        users = [user for user, secret in self.users.items() if secret.kind is SecretKind.MD5]
        if not users:
            return []
        more = f" and {len(users) - _NAMED} more" if len(users) > _NAMED else ""
        return [
            f"gateway.auth_type is scram-sha-256, so {', '.join(users[:_NAMED])}{more} cannot "
            "log in: a secret of the md5 kind is no good for SCRAM. Store a SCRAM verifier."
        ]


def _mostly_scram(users: Userlist) -> bool:
    """Whether who is not in the list is best taken for a user with a SCRAM secret."""
    scram = sum(secret.kind is SecretKind.SCRAM for secret in users.values())
    return 2 * scram >= len(users)


def _usual_iterations(users: Userlist) -> int:
    """The iterations of most SCRAM secrets; 0 where there are none."""
    found = Counter(
        parse_verifier(secret.value).iterations
        for secret in users.values()
        if secret.kind is SecretKind.SCRAM
    )
    return found.most_common(1)[0][0] if found else 0
