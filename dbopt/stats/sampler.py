"""The sampler: asks once a second what each session does, and adds the answers up.

One statement a second, of sessions at work alone; the queries' texts are made fingerprints at
once, and redacted for the store: of autovacuum, and where there is no pg_stat_statements, nobody
else knows them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from dbopt.clock import Clock, wall
from dbopt.metrics import Sample
from dbopt.pg.connect import AsyncConnection
from dbopt.pg.fetch import fetch
from dbopt.pg.refusal import translated
from dbopt.sql.fingerprint import FingerprintCache, redact
from dbopt.stats.collecting import Connections
from dbopt.stats.samples import Samples, Session, sessions_of
from dbopt.store.text import MAX_TEXT

MOST = 1000
"""Sessions looked at in one sample."""
_CACHED = 2000
_HIDDEN = "<insufficient privilege>"


class Sampler:
    """Samples one server's sessions into `seen`.

    `known` gives the fingerprint of a queryid of pg_stat_statements, None where it is unknown: the
    server cuts long texts off, so that only their queryid tells what they are. `hidden` sessions of
    other roles, of the last sample, may idle or work: they are no load.
    """

    def __init__(
        self,
        server: Connections,
        known: Callable[[int], int | None],
        clock: Clock = wall,
    ) -> None:
        self.seen = Samples()
        self.taken = self.failures = 0
        self.hidden = 0
        self._server = server
        self._known = known
        self._clock = clock
        self._cache = FingerprintCache(_CACHED)
        self._texts: dict[int, str] = {}
        self._longest = 0

    async def sample(self) -> None:
        """Take one sample. Raises DboptError."""
        try:
            with translated("Sampling sessions"):
                async with self._server.connection() as conn:
                    sessions = await self._sessions(conn)
        except Exception:
            self.failures += 1
            raise
        self.seen.add(sessions, self._clock())
        self.taken += 1

    async def _sessions(self, conn: AsyncConnection) -> list[Session]:
        version = conn.info.server_version // 10_000
        if not self._longest:
            rows = await fetch(conn, "sample_longest")
            self._longest = int(rows[0]["longest"])
        rows = await fetch(conn, "sample_sessions", {"limit": MOST}, version=version)
        offset = self._clock() - rows[0]["now"] if rows else 0.0
        self.hidden = sum(row["query"] == _HIDDEN for row in rows)
        rows = [row for row in rows if row["state"] is not None]
        sessions = sessions_of(rows, self._fingerprint, offset)
        waiting = [session.pid for session in sessions if session.blocked_by]
        if not waiting:
            return sessions
        locks = {row["pid"]: row for row in await fetch(conn, "sample_locks", {"pids": waiting})}
        return [
            session._replace(
                lock_mode=str(locks[session.pid]["mode"]),
                lock_object=str(locks[session.pid]["object"]),
            )
            if session.pid in locks
            else session
            for session in sessions
        ]

    def _fingerprint(self, row: Mapping[str, object]) -> int:
        queryid, text = row["queryid"], str(row["query"] or "")
        if isinstance(queryid, int) and queryid:
            known = self._known(queryid)
            if known is not None:
                return known
        # A text as long as the server keeps may have been cut off: its fingerprint is another's.
        if not text or len(text.encode()) >= self._longest:
            return 0
        number = self._cache(text)
        if number not in self._texts and len(self._texts) < _CACHED:
            self._texts[number] = redact(text, MAX_TEXT)[: MAX_TEXT + 1]
        return number

    def take_texts(self) -> dict[int, str]:
        """Redacted texts by fingerprint, of what was seen since the last call; bounded."""
        texts, self._texts = self._texts, {}
        return texts

    def samples(self) -> Iterator[Sample]:
        """See metrics.Source."""
        yield Sample("dbopt_samples_total", self.taken)
        yield Sample("dbopt_sample_failures_total", self.failures)
        for wait, sessions in self.seen.load().items():
            yield Sample("dbopt_active_sessions", sessions, (wait,))
