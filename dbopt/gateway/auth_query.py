"""auth_query: what users log in with that the user list lacks, asked of the server.

Answers are kept for a while, that there is no such user too; logins of one user at the same
time ask once. `lookup.py` does the asking.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

import structlog

from dbopt.clock import Clock, monotonic
from dbopt.errors import DboptError, ProtocolError, UserLookupFailed
from dbopt.gateway.exchange import Candidate, candidate_of
from dbopt.gateway.userlist import secret_of

log = structlog.get_logger("dbopt.gateway")

MAX_KEPT: Final = 10_000
"""Answers that are kept at most: a client may give any name."""
OLD: Final = 1.0
"""Seconds after which a failed login has the answer asked for again."""
BETWEEN_WORDS: Final = 1.0
"""Seconds between two lines in the log about answers that are none."""


class Lookup(Protocol):
    """Who asks a server."""

    async def secret_text(self, database: str, user: str) -> str | None:
        """What the server has of the user; None for no user, or one that may not log in.

        Raises DboptError where it cannot be asked.
        """


class AuthQuery:
    """See the module. It is an auth.Directory. `keep` is seconds."""

    def __init__(self, lookup: Lookup, keep: float, clock: Clock = monotonic) -> None:
        self.lookup = lookup
        self.keep = keep
        self._clock = clock
        self._said = float("-inf")
        self._kept: dict[tuple[str, str], Candidate] = {}
        self._asking: dict[tuple[str, str], asyncio.Task[Candidate]] = {}

    def known(self, database: str, user: str) -> Candidate | None:
        """See auth.Directory."""
        found = self._kept.get((database, user))
        if found is None or self._clock() - found.asked >= self.keep:
            return None
        return found

    def is_old(self, candidate: Candidate) -> bool:
        """See auth.Directory."""
        return 0 < candidate.asked <= self._clock() - OLD

    def distrust(self, database: str, user: str) -> None:
        """See auth.Directory. Who guesses passwords has it asked once a second at most."""
        found = self._kept.get((database, user))
        if found is not None and self.is_old(found):
            del self._kept[database, user]

    def ask(self, database: str, user: str) -> asyncio.Task[Candidate]:
        """Asks the server; those who ask for the same meanwhile get the same task.

        The task raises UserLookupFailed where the server cannot be asked.
        """
        key = database, user
        task = self._asking.get(key)
        if task is None:
            loop = asyncio.get_running_loop()
            task = self._asking[key] = loop.create_task(self._answer(database, user))
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        return task

    def stop(self) -> None:
        """Nobody waits for an answer any more."""
        for task in list(self._asking.values()):
            task.cancel()

    async def _answer(self, database: str, user: str) -> Candidate:
        try:
            text = await self.lookup.secret_text(database, user)
        except DboptError as error:
            if self._may_say():
                log.error("auth_query failed", database=database, error=str(error))  # noqa: TRY400
            # Who has not logged in is not told where the server is, nor what it said.
            raise UserLookupFailed(
                "The gateway cannot look up users now: its auth_query failed.",
                hint="Try again; the log of the gateway says why.",
            ) from None
        candidate = self._candidate(user, text)
        if self.keep > 0:
            self._keep(database, user, candidate)
        return candidate

    def _candidate(self, user: str, text: str | None) -> Candidate:
        now = self._clock()
        if text is None:
            return Candidate(None, None, now)
        try:
            return candidate_of(secret_of(text), now)
        except ProtocolError as error:
            if self._may_say():
                log.warning("auth_query gave no secret", user=user, error=error.message)
            return Candidate(None, None, now)

    def _may_say(self) -> bool:
        """Whether the log takes one more line: anybody can have it asked, under any name."""
        now = self._clock()
        if now - self._said < BETWEEN_WORDS:
            return False
        self._said = now
        return True

    def _keep(self, database: str, user: str, candidate: Candidate) -> None:
        self._kept.pop((database, user), None)
        if len(self._kept) >= MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[database, user] = candidate
