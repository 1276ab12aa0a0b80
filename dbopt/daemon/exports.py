"""What the daemon tells other programs: the sources of /metrics, and OpenTelemetry."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from dbopt import __version__
from dbopt.daemon.collection import Collection
from dbopt.errors import DboptError
from dbopt.gateway.routes import route
from dbopt.metrics import Metrics
from dbopt.observation import SlowStatement
from dbopt.otel.loading import telemetry
from dbopt.settings import Settings
from dbopt.sql.query import Query
from dbopt.stats.exposition.source import DEFINITIONS, Exposition
from dbopt.trace import pgbouncer
from dbopt.trace.recorder import Recorder
from dbopt.trace.workers import Workers

if TYPE_CHECKING:
    from dbopt.otel.telemetry import Telemetry

_MOST_DATABASES = 100


class Exports:
    """Adds its sources to `metrics`. `start`, `observed` as statements are reported, `stop`.

    `describe` judges a text; a thread calls it. Raises ConfigError where OpenTelemetry is wanted
    and not installed.
    """

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        describe: Callable[[str], Query],
        recorder: Recorder,
        workers: Workers,
        collection: Collection,
    ) -> None:
        self._telemetry = _telemetry(settings, describe, recorder, workers)
        if self._telemetry is not None:
            metrics.add(self._telemetry, self._telemetry.definitions)
        if settings.metrics.pgbouncer:
            metrics.add(pgbouncer.PgBouncerNames(workers), pgbouncer.DEFINITIONS)
        if settings.stats.enabled:
            collecting, leader = collection.collecting, collection.leader
            source = Exposition(
                settings.metrics,
                latest=lambda: collecting.latest,
                server=lambda: collecting.server,
                leading=lambda: leader.leading,
                up=lambda: leader.answers,
            )
            metrics.add(source, DEFINITIONS)

    def start(self) -> None:
        """Begin to export."""
        if self._telemetry is not None:
            self._telemetry.start()

    def observed(self, slow: Sequence[SlowStatement], spans: Sequence[SlowStatement]) -> None:
        """Slow statements, and those whose callers' traces are recorded."""
        if self._telemetry is not None:
            self._telemetry.observed(slow, spans)

    async def stop(self) -> None:
        """Export what there is, and end; at most some seconds."""
        if self._telemetry is not None:
            await asyncio.to_thread(self._telemetry.stop)


def _telemetry(
    settings: Settings, describe: Callable[[str], Query], recorder: Recorder, workers: Workers
) -> Telemetry | None:
    @lru_cache(maxsize=_MOST_DATABASES)
    def address(database: str) -> tuple[str, int]:
        return _address(settings, database)

    return telemetry(
        settings.otel,
        version=__version__,
        describe=describe,
        address=address,
        durations=lambda: recorder.lifetime.by_database,
        pools=workers.pools,
    )


def _address(settings: Settings, database: str) -> tuple[str, int]:
    """The first server of a database, as it is configured; ("", 0) where that is not known."""
    try:
        conninfo = route(settings, database, "").conninfo
    except DboptError:
        return "", 0
    host = (conninfo.get("host") or conninfo.get("hostaddr") or "").split(",")[0]
    port = (conninfo.get("port") or "5432").split(",")[0]
    return host, int(port) if port.isdigit() else 5432
