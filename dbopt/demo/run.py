"""The demo: the loop trace → score → advise → prove → migrate → verify, for real.

Each step gives what it found; `dbopt.demo.screen` shows it, and `Outcome.to_dict` is the JSON.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from random import Random
from threading import Thread
from typing import Any, Protocol

import psycopg

from dbopt import configfile, resources
from dbopt.demo import dataset, workload
from dbopt.demo.cluster import EmbeddedCluster
from dbopt.demo.operations import OPERATIONS, Draw
from dbopt.demo.sidecar import Sidecar
from dbopt.demo.workload import WorkloadResult
from dbopt.index import advisor
from dbopt.index import workload as statements
from dbopt.index.advisor import Advice
from dbopt.index.audit import audit
from dbopt.migrate import runner
from dbopt.migrate.declared import declared, wanted
from dbopt.migrate.progress import Progress
from dbopt.migrate.work import Built
from dbopt.pg import catalog
from dbopt.pg.connect import Connection, connect
from dbopt.pg.explain import explain_sync
from dbopt.settings import Settings
from dbopt.sql.findings import Finding

DATABASE = "ai_skills"
STORE_REVISION = "0001"
SLOW_MS = 20.0
"""The demo's trace.slow: its data is small, so that a bad plan costs tens of milliseconds."""
SNAPSHOT_SECONDS = 5
TOP = 10


class Screen(Protocol):
    """Who is told how far it is, and what was found."""

    def step(self, words: str) -> None:
        """A step begins."""

    def advance(self, name: str, done: float, total: float) -> None:
        """How far a part of the step is."""

    def traced(self, outcome: Outcome) -> None:
        """The workload has run, and was judged."""

    def advised(self, outcome: Outcome) -> None:
        """Advice was proven."""

    def migrated(self, outcome: Outcome) -> None:
        """The declared indexes are there."""

    def verified(self, outcome: Outcome) -> None:
        """The workload has run again."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for. `scale` 1 is the full data set; `seconds` each workload."""

    keep: Path | None = None
    seconds: float = 8.0
    clients: int = 8
    scale: float = 1.0


@dataclass(slots=True)
class Outcome:
    """What the loop found. Statements and plans are the daemon's own JSON."""

    postgres: str
    gateway: str
    http: str
    dsn: str
    started: datetime
    statements: list[dict[str, Any]] = field(default_factory=list)
    worst_plan: dict[str, Any] | None = None
    findings: list[Finding] = field(default_factory=list)
    advice: list[Advice] = field(default_factory=list)
    indexes: tuple[Built, ...] = ()
    during: WorkloadResult | None = None
    before: WorkloadResult | None = None
    after: WorkloadResult | None = None
    served_by: dict[str, list[str]] = field(default_factory=dict)

    @property
    def speedup_p95(self) -> float:
        """How many times lower the workload's p95 is after than before."""
        if self.before is None or self.after is None or not self.after.overall.p95_ms:
            return 0.0
        return self.before.overall.p95_ms / self.after.overall.p95_ms

    def to_dict(self) -> dict[str, Any]:
        """What `dbopt demo --once --json` prints."""
        return {
            "postgres": self.postgres,
            "slow_queries": [_slow_query(one) for one in self.statements],
            "findings": [finding.to_dict() for finding in self.findings],
            "advice": [advice.to_dict() for advice in self.advice],
            "indexes_applied": [
                {"name": b.name, "table": b.table, "valid": b.valid, "ms": round(b.ms, 1)}
                for b in self.indexes
            ],
            "before": self.before.summary() if self.before else {},
            "after": self.after.summary() if self.after else {},
            "speedup_p95": round(self.speedup_p95, 2),
        }


def _slow_query(statement: dict[str, Any]) -> dict[str, Any]:
    complexity = statement["complexity"] or {}
    return {
        **{key: statement[key] for key in ("fingerprint", "query", "calls", "p95_ms", "kind")},
        "complexity": complexity.get("score"),
    }


def run(options: Options, screen: Screen, stay: Callable[[Outcome], None]) -> Outcome:
    """Run the loop, then `stay` while everything is still up. Whatever happens, it is all
    stopped at the end. Raises DboptError."""
    with ExitStack() as stack:
        screen.step("Starting PostgreSQL")
        cluster = stack.enter_context(EmbeddedCluster(options.keep))
        settings = _settings(_database(cluster))
        outcome = Outcome(cluster.version, "", "", settings.server.dsn, datetime.now())
        _load(settings, options, screen)
        screen.step("Starting the sidecar")
        sidecar = stack.enter_context(Sidecar(_sidecar_settings(settings)))
        outcome.gateway = _through(sidecar)
        outcome.http = sidecar.url
        _loop(settings, options, sidecar, outcome, screen)
        stay(outcome)
    return outcome


def _database(cluster: EmbeddedCluster) -> str:
    with connect(cluster.dsn()) as connection:
        query = "SELECT 1 FROM pg_database WHERE datname = %s"
        if connection.execute(query, [DATABASE]).fetchone() is None:
            connection.execute(f"CREATE DATABASE {DATABASE}")
    with connect(cluster.dsn(DATABASE)) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    return cluster.dsn(DATABASE)


def _settings(dsn: str) -> Settings:
    """The settings of the demo's own commands; those of the place where it runs take no part."""
    return configfile.load(
        overrides=[
            f"server.dsn={dsn}",
            f"index.directory={resources.directory('indexes')}",
            f"migrate.directory={resources.directory('migrations')}",
        ]
    )


def _sidecar_settings(settings: Settings) -> dict[str, Any]:
    return {
        "server.dsn": settings.server.dsn,
        "trace.slow": SLOW_MS,
        "trace.plans_per_minute": 60,
        "stats.interval": SNAPSHOT_SECONDS,
        "log.level": "warning",
    }


def _through(sidecar: Sidecar) -> str:
    return f"postgresql://postgres@127.0.0.1:{sidecar.gateway_port}/{DATABASE}"


def _load(settings: Settings, options: Options, screen: Screen) -> None:
    screen.step("Loading the AI Skills data")
    with connect(settings.server.dsn) as connection:
        loaded = dataset.is_loaded(connection)
        if not loaded:
            dataset.load(connection, options.scale, screen.advance)
    if loaded and runner.current(settings) != STORE_REVISION:
        screen.step("Dropping the indexes of an earlier run")
        runner.downgrade(settings, STORE_REVISION)
    runner.upgrade(settings, STORE_REVISION)


def _loop(
    settings: Settings, options: Options, sidecar: Sidecar, outcome: Outcome, screen: Screen
) -> None:
    screen.step("Running the application's workload, without indexes")
    _reset_statistics(settings)
    outcome.before = _drive(outcome.gateway, options, screen)
    _trace(sidecar, outcome)
    with connect(settings.server.dsn) as connection:
        outcome.findings = audit(catalog.read(connection), settings.index)
        screen.traced(outcome)
        screen.step("Proving index advice (built, explained, rolled back)")
        outcome.advice = _advise(connection, settings)
    screen.advised(outcome)
    screen.step("Building the declared indexes while the workload runs")
    with _background(outcome, options):
        outcome.indexes = runner.upgrade(settings, "head", _reporter(screen)).indexes
    screen.migrated(outcome)
    screen.step("Running the same workload again")
    outcome.after = _drive(outcome.gateway, options, screen)
    outcome.served_by = _served_by(settings)
    screen.verified(outcome)


def _reset_statistics(settings: Settings) -> None:
    with connect(settings.server.dsn) as connection:
        connection.execute("SELECT pg_stat_reset()")
        connection.execute("SELECT pg_stat_statements_reset()")


def _drive(gateway: str, options: Options, screen: Screen) -> WorkloadResult:
    def tick(progress: workload.Progress) -> None:
        screen.advance(f"{progress.tps:,.0f} tps", progress.elapsed, options.seconds)

    return asyncio.run(
        workload.run(gateway, clients=options.clients, seconds=options.seconds, on_tick=tick)
    )


def _trace(sidecar: Sidecar, outcome: Outcome) -> None:
    """The daemon's own view: its worst statements, and the plan of the worst that has one."""
    outcome.statements = sidecar.get(f"/statements?limit={TOP}&order=total")
    for statement in outcome.statements:
        plan = sidecar.get(f"/plans/{statement['fingerprint']}")
        if plan:
            outcome.worst_plan = plan
            return


def _advise(connection: Connection, settings: Settings) -> list[Advice]:
    definitions = [one.definition for one in wanted(connection, declared(settings))]
    queries = statements.read(connection)
    snapshot = catalog.read(connection)
    return advisor.advise(
        connection, queries, snapshot, definitions, settings.index, allow_lock=True
    )


def _reporter(screen: Screen) -> Callable[[Progress], None]:
    return lambda progress: screen.advance(
        f"{progress.name}: {progress.phase}", progress.fraction, 1.0
    )


@contextmanager
def _background(outcome: Outcome, options: Options) -> Iterator[None]:
    """The workload in another thread, until the block ends; its result is `during`."""
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    failed: list[BaseException] = []

    def work() -> None:
        try:
            outcome.during = loop.run_until_complete(
                workload.run(outcome.gateway, clients=options.clients, seed=2, stop=stop)
            )
        except BaseException as error:
            failed.append(error)

    thread = Thread(target=work, name="demo-workload")
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
    if failed:
        raise failed[0]


def _served_by(settings: Settings) -> dict[str, list[str]]:
    """What each operation's plan reads, with parameters as the workload draws them: its indexes,
    else the tables that it scans; nothing for a plain INSERT."""
    found: dict[str, list[str]] = {}
    with connect(settings.server.dsn) as connection:
        draw = Draw(Random(7), dataset.population(connection))  # noqa: S311 - no secret
        cursor = psycopg.ClientCursor(connection)
        for operation in OPERATIONS:
            text = cursor.mogrify(operation.sql, operation.make_params(draw))
            plan = explain_sync(connection, text)
            scanned = (f"sequential scan of {relation.name}" for relation in plan.seq_scans)
            found[operation.name] = sorted(plan.indexes) or sorted(scanned)
    return found
