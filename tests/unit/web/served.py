"""The HTTP application on a real uvicorn in a thread, over real recorders."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from dbopt.errors import UsageError
from dbopt.guard.control import GuardControl
from dbopt.metrics import Metrics
from dbopt.settings import Settings
from dbopt.sql.analyze import Analyzer
from dbopt.stats.samples import Samples
from dbopt.trace.jobs import Jobs
from dbopt.trace.plans import CapturedPlan
from dbopt.trace.recorder import Recorder
from dbopt.trace.slow import SlowLog
from dbopt.trace.transactions import Transactions
from dbopt.trace.workers import Workers
from dbopt.web.app import create_app
from dbopt.web.server import HttpServer
from dbopt.web.state import no_backend


class Plans:
    def __init__(self) -> None:
        self.kept: dict[int, CapturedPlan] = {}

    def latest(self, fingerprint: int) -> CapturedPlan | None:
        return self.kept.get(fingerprint)

    def shapes(self, fingerprint: int) -> list[dict[str, Any]]:
        return [
            {"shape": p.shape, "times": 1, "cost": p.cost, "best_ms": 1.0, "worst_ms": 2.0,
             "last_seen": "2026-01-02T03:04:05+00:00", "source": p.source, "database": p.database}
            for p in self.kept.values()
            if p.fingerprint == fingerprint
        ]  # fmt: skip


class Checks:
    """What CheckJob tells, with evidence that JSON does not know."""

    def to_dict(self) -> dict[str, Any]:
        since = datetime(2026, 1, 2, tzinfo=UTC)
        return {"findings": [{"rule": "fsync", "evidence": {"since": since}}]}


class Collecting:
    """What the daemon's collection tells."""

    def to_dict(self) -> dict[str, Any]:
        return {"leading": True, "collectors": []}


class SomeState:
    """A daemon's parts without the daemon."""

    version = "1.2.3"
    gateway = ("127.0.0.1", 6432)
    uptime = 12.34
    restarts = 0

    def __init__(self) -> None:
        self.recorder = Recorder(100, Analyzer())
        self.slow = SlowLog(100, lambda number: self.recorder.known(number).kind)
        self.plans = Plans()
        self.transactions = Transactions(lambda number: self.recorder.book.known(number).text)
        self.activity: Samples | None = None
        self.checks = Checks()
        self.collection = Collecting()
        self.workers = Workers(lambda: self.restarts)
        self.jobs = Jobs()
        self.guard = GuardControl(
            Settings(), Analyzer(), text_of=lambda number: self.recorder.book.known(number).text,
            cost=_no_cost, forget=lambda fingerprints: None,
        )  # fmt: skip
        self.metrics = Metrics(self.version)
        for source in (self.recorder, self.slow, self.workers, self.jobs, self.guard):
            self.metrics.add(source)

    def store(self) -> dict[str, Any]:
        return {"ready": False, "reason": "The schema dbopt is not there."}

    async def unready(self) -> str:
        return no_backend(self.workers.pools())


async def _no_cost(database: str, user: str, text: str) -> float:
    raise UsageError("There is no server here.")


@contextmanager
def served(state: Any, host: str = "127.0.0.1", named: str | None = None) -> Iterator[str]:
    """The URL of the application of `state`; `named` is the configured host."""
    server = HttpServer(create_app(state, named or host), host, 0)
    server.listen()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
        yield f"http://{host}:{server.address[1]}"
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
