"""The writer: everything that goes to the store goes through it, in order, exactly once."""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import structlog

from dbopt.clock import Clock, backoff, wall
from dbopt.errors import ConnectError, DboptError, QueryFailed, StoreMissing
from dbopt.metrics import Sample
from dbopt.pg.connect import AsyncConnection
from dbopt.pg.fetch import fetch
from dbopt.pg.pool import Pool
from dbopt.pg.refusal import translated
from dbopt.store import events, history, plans, slow
from dbopt.store.batch import Batch, decode, encode, joined
from dbopt.store.frame import Standing, Target
from dbopt.store.recording import History
from dbopt.store.spool import Record, Spool

__all__ = ["Batch", "Writer"]

log = structlog.get_logger(__name__)

MOST_PENDING = 500_000
"""Things (see Batch.size) taken between two flushes; beyond, the oldest batches are dropped."""
AT_ONCE = 100_000
"""Things stored in one transaction, more or less."""
_REFUSED = ("0A", "22", "23", "42", "54")
"""Classes of SQLSTATE that will meet the same data again: wrong data, broken rules, limits, and
what a server's encoding does not support."""
_TOO_LONG = "57014"
"""query_canceled: what takes longer than the statement timeout would do so each time."""
_DENIED = "42501"
"""insufficient_privilege: somebody will grant it."""
MB = 1 << 20


class Writer:
    """Holds batches until they are in the store.

    `spool_dir` and `spool_size` (MB) are settings.Store's; without a directory what the store
    does not take is held in memory. Raises ConfigError where the directory cannot be used, or
    another dbopt uses it. `error` says why the store takes nothing and what to do, "" while it
    does; `missing` whether that is since its schema is not there. `on_skip`: see History.
    """

    def __init__(
        self,
        pool: Pool,
        spool_dir: str | Path = "",
        spool_size: int = 64,
        clock: Clock = wall,
        on_skip: Callable[[Target, str], None] = lambda *_: None,
    ) -> None:
        self.error = ""
        self.missing = False
        self.dropped = 0
        self._pool = pool
        self._clock = clock
        self._spool = Spool(spool_dir, spool_size * MB)
        self._history = History(on_skip)
        self._id = uuid.uuid4()
        self._number = 0
        self._pending: deque[Batch] = deque()
        self._pending_size = 0
        self._busy = asyncio.Lock()
        self._delays = backoff(first=2.0)
        self._not_before = 0.0
        self._written = 0
        self._last_success = 0.0

    def put(self, batch: Batch) -> None:
        """Take a batch. Never waits and never raises; what is too much is dropped and counted."""
        size = batch.size
        if not size:
            return
        self._pending.append(batch)
        self._pending_size += size
        while self._pending_size > MOST_PENDING and len(self._pending) > 1:
            self._pending_size -= self._pending.popleft().size
            self.dropped += 1

    async def flush(self, *, final: bool = False) -> bool:
        """Write what is held, in order; tells whether all of it is in the store now.

        Raises nothing but cancellation: `error` says what failed. While the store is away it is
        tried ever less often, up to every 30 s; `final` tries at once.
        """
        async with self._busy:
            units = self._take()
            if self._clock() >= self._not_before or final:
                try:
                    await self._replay()
                    while units:
                        await self._store(*units[0])
                        units.popleft()
                except asyncio.CancelledError:
                    await self._hold(units)
                    raise
                except Exception as error:
                    self._failed(error)
                else:
                    self._worked()
            await self._hold(units)
            return not len(self._spool)

    def _take(self) -> deque[tuple[Record, Batch]]:
        """What is pending, as units that are stored in a transaction each, with their numbers."""
        units: deque[tuple[Record, Batch]] = deque()
        while self._pending:
            part, size = [], 0
            while self._pending and size < AT_ONCE:
                part.append(self._pending.popleft())
                size += part[-1].size
            self._number += 1
            units.append((Record(self._id, self._number, b""), joined(part)))
        self._pending_size = 0
        return units

    async def _hold(self, units: deque[tuple[Record, Batch]]) -> None:
        """Into the spool. In a thread: it waits for the disk."""
        if units:
            records = [*units]
            units.clear()
            # A crash, or a cancelled task, must not find them half there.
            await asyncio.shield(asyncio.to_thread(self._spooled, records))

    def _spooled(self, units: list[tuple[Record, Batch]]) -> None:
        records = []
        for record, batch in units:
            try:
                records.append(Record(record.writer, record.number, encode(batch)))
            except (ValueError, TypeError, OverflowError):
                self.dropped += 1
        self._spool.append(records)

    async def _replay(self) -> None:
        while (record := await asyncio.to_thread(self._spool.oldest)) is not None:
            try:
                batch = await asyncio.to_thread(decode, record.data)
            except ValueError:
                self.dropped += 1
            else:
                await self._store(record, batch)
            await asyncio.to_thread(self._spool.forget)

    async def _store(self, record: Record, batch: Batch) -> None:
        """Store a batch in one transaction, unless the store has it; raises DboptError.

        Of what the server refuses for its content, the other pieces are stored; what takes too
        long together is stored piece by piece.
        """
        try:
            try:
                await self._attempt(record, batch, whole=True)
            except Exception as error:
                if not _is_refused(error) and not _took_too_long(error):
                    raise
                self._history.forget()
                await self._attempt(record, batch, whole=False)
        except BaseException:
            self._history.forget()
            raise
        self._written += 1
        self._last_success = self._clock()

    async def _attempt(self, record: Record, batch: Batch, *, whole: bool) -> None:
        with translated("Writing to the store", store=True):
            async with self._pool.connection() as conn, conn.transaction():
                writer = {"id": str(record.writer)}
                seen = await fetch(conn, "store_writer_seen", writer)
                if seen and int(seen[0]["seq"]) >= record.number:
                    return
                if whole:
                    await self._write(conn, batch)
                else:
                    await self._write_pieces(conn, batch)
                await fetch(conn, "store_writer_note", {**writer, "seq": record.number})

    async def _write_pieces(self, conn: AsyncConnection, batch: Batch) -> None:
        for piece in batch.pieces():
            try:
                async with conn.transaction():
                    await self._write(conn, piece)
            except Exception as error:
                if not _is_refused(error):
                    raise
                self._history.forget()
                self.dropped += 1
                log.warning("the store refuses a piece", error=_words(error))

    async def _write(self, conn: AsyncConnection, batch: Batch) -> None:
        if batch.frames or batch.texts:
            await self._history.write(conn, batch.frames, batch.texts)
        if batch.slow:
            await slow.append(conn, batch.slow)
        if batch.plans:
            await plans.keep(conn, batch.plans)
        if batch.events:
            await events.append(conn, batch.events)

    def _failed(self, error: Exception) -> None:
        words = _words(error)
        if words != self.error:
            log.warning("the store takes nothing", error=words)
        self.error, self.missing = words, isinstance(error, StoreMissing)
        self._not_before = self._clock() + next(self._delays)

    def _worked(self) -> None:
        if self.error:
            log.info("the store works again")
        self.error, self.missing = "", False
        self._not_before = 0.0
        self._delays = backoff(first=2.0)

    async def resume(self, target: Target, view: str) -> Standing | None:
        """Where the history of a view ends, with all that is held stored before.

        Raises StoreMissing without the schema, ConnectError where the store is away.
        """
        if not await self.flush(final=True):
            kind = StoreMissing if self.missing else ConnectError
            raise kind(self.error or "The store takes nothing.")
        with translated("Reading history", store=True):
            async with self._pool.connection() as conn:
                return await history.resume(conn, target, view)

    async def close(self) -> None:
        """Flush a last time; what the store does not take stays in the spool, if there is one."""
        if not await self.flush(final=True) and not self._spool.durable:
            log.warning(
                "what the store did not take is lost",
                batches=len(self._spool),
                hint="store.spool_dir keeps it over a restart.",
            )
        self._spool.close()

    def samples(self) -> Iterator[Sample]:
        """See metrics.Source."""
        held = len(self._pending) + len(self._spool)
        yield Sample("dbopt_store_pending_batches", held)
        yield Sample("dbopt_store_spool_bytes", self._spool.size)
        yield Sample("dbopt_store_batches_total", self._written)
        yield Sample("dbopt_store_dropped_total", self.dropped + self._spool.dropped)
        yield Sample("dbopt_store_skipped_frames_total", self._history.skipped)
        yield Sample("dbopt_store_last_success_timestamp_seconds", self._last_success)


def _is_refused(error: Exception) -> bool:
    """Whether the content is at fault, so that waiting would not help."""
    if isinstance(error, QueryFailed):
        code = error.reported
        return not code or (code[:2] in _REFUSED and code != _DENIED)
    return not isinstance(error, DboptError | OSError)


def _took_too_long(error: Exception) -> bool:
    return isinstance(error, QueryFailed) and error.reported == _TOO_LONG


def _words(error: Exception) -> str:
    # The type alone of what is none of ours: its words might hold what must not be shown.
    return str(error) if isinstance(error, DboptError) else type(error).__name__
