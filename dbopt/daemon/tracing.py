"""The daemon's trace: what workers and in-process pools report, counted, kept, and handed on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime

from dbopt.inprocess.ingest import Ingest
from dbopt.inprocess.messages import VERSION, Report, Welcome
from dbopt.metrics import Metrics
from dbopt.observation import Repeated, SlowStatement, StatementCount, TransactionCount
from dbopt.pg.pool import Pool
from dbopt.pg.refusal import translated
from dbopt.settings import Settings
from dbopt.sql.analyze import Analyzer
from dbopt.store import plans as plan_store
from dbopt.store.batch import Batch
from dbopt.store.frame import Target
from dbopt.trace import autoplans, transactions
from dbopt.trace.autoplans import AutoPlans, read_prefix
from dbopt.trace.history import TraceHistory
from dbopt.trace.keeping import GRACE, SlowKeeper
from dbopt.trace.planbook import MAX_PLANS, PlanBook
from dbopt.trace.plans import Explain, PlanCapture
from dbopt.trace.recorder import Recorder
from dbopt.trace.slow import SlowLog, Waits
from dbopt.trace.transactions import Transactions
from dbopt.trace.workers import Workers


class Tracing:
    """Recorder, slow log, transactions and plans, bound together.

    `explain` gives a plan, `target_of` the target of a database's name.
    """

    def __init__(
        self,
        settings: Settings,
        analyzer: Analyzer,
        explain: Explain,
        target_of: Callable[[str], Target],
        workers: Workers,
        metrics: Metrics,
    ) -> None:
        trace = self._settings = settings.trace
        self.recorder = Recorder(trace.max_fingerprints, analyzer)
        self.slow = SlowLog(
            trace.max_slow, lambda f: self.recorder.known(f).kind, threshold_ms=trace.slow
        )
        self.transactions = Transactions(lambda f: self.recorder.book.known(f).text)
        self.book = PlanBook(target_of)
        self.plans = PlanCapture(explain, analyzer, trace.plans_per_minute, book=self.book)
        self.plans.enabled = trace.plans
        database_of, path = self.recorder.database_of, trace.auto_explain_log
        self.auto = AutoPlans(path, self.book, database_of) if path else None
        self.ingest = Ingest(trace.socket, self.reported, self._welcome) if trace.socket else None
        self._keeper = SlowKeeper(self.plans.latest, trace.max_slow, is_slow=self.slow.is_slow)
        self._history = TraceHistory(self.recorder, self.transactions, workers, datetime.now(UTC))
        self._remembers = False
        self._judging: asyncio.Task[None] | None = None
        for source in (self.recorder, self.slow, self.plans):
            metrics.add(source)
        metrics.add(self.transactions, transactions.METRICS)
        if self.auto is not None:
            metrics.add(self.auto, autoplans.METRICS)

    def observed(
        self,
        counts: Sequence[StatementCount],
        slow: Sequence[SlowStatement],
        transacted: Sequence[TransactionCount],
        repeated: Sequence[Repeated],
    ) -> None:
        """Take what a worker, or a pool in an application, has counted."""
        self.recorder.add(counts)
        self.slow.add(slow)
        self.transactions.add(transacted, repeated)

    def reported(self, report: Report) -> None:
        """Take what a pool in an application has counted."""
        self.observed(report.counts, report.slow, report.transactions, report.repeated)

    def _welcome(self) -> Welcome:
        trace = self._settings
        return Welcome(VERSION, trace.slow, trace.parameters, trace.n_plus_one)

    # Life

    async def start(self) -> None:
        """Begin. Raises ConfigError where trace.socket cannot be listened on."""
        if self.ingest is not None:
            await self.ingest.start()
        self.slow.subscribe(self.plans.offer)
        self.slow.subscribe(self._keeper.take)
        self.plans.start()
        self._judging = asyncio.create_task(self.recorder.judging(), name="dbopt-judging")

    async def stop(self) -> None:
        """End."""
        if self.ingest is not None:
            await self.ingest.close()
        await self.plans.stop()
        if self._judging is not None:
            self._judging.cancel()
            await asyncio.gather(self._judging, return_exceptions=True)
        if self.auto is not None:
            self.auto.close()

    def reload(self, settings: Settings, analyzer: Analyzer) -> None:
        """Take new settings."""
        self._settings = settings.trace
        self.slow.threshold_ms = settings.trace.slow
        self.recorder.book.judge_with(analyzer)
        self.plans.reload(settings.trace.plans, settings.trace.plans_per_minute)

    # Jobs

    def settle(self, waits: Waits) -> None:
        """Fill in what slow statements waited for; once a second."""
        self.slow.settle(waits)

    async def follow_log(self, server: Pool) -> None:
        """Read the plans that auto_explain has logged. Raises DboptError."""
        if self.auto is None:
            return
        if not self.auto.prefix:
            with translated("Reading log_line_prefix"):
                async with server.connection() as connection:
                    self.auto.prefix = await read_prefix(connection)
        await self.auto.poll()

    async def remember(self, store: Pool, targets: Collection[Target]) -> None:
        """Read the plans that the store knows of these, once. Raises DboptError."""
        if self._remembers:
            return
        with translated("Reading plans", store=True):
            async with store.connection() as connection:
                for target in targets:
                    known = await plan_store.read(connection, target=target, limit=MAX_PLANS)
                    self.book.remember(known)
        self._remembers = True

    def due(self, server: str, grace: float = GRACE) -> Batch:
        """Slow statements that are due, plans, and their changes; `server` is its address."""
        plans, events = self.book.take()
        return Batch(slow=self._keeper.ripe(server, grace), plans=plans, events=events)

    def counted(self, server: str, at: datetime) -> Batch:
        """What was counted since the last call, until `at`."""
        return self._history.batch(server, at)
