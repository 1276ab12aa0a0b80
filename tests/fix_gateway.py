"""A gateway of our own: the real supervisor and its workers, in a thread's event loop."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar, cast

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dbopt.gateway.link import Observed
from dbopt.gateway.supervisor import Supervisor
from dbopt.observation import (
    PoolSnapshot,
    Repeated,
    SlowStatement,
    StatementCount,
    TransactionCount,
    WorkerSnapshot,
)
from dbopt.settings import Settings
from dbopt.verdict import Question, Refusal, Verdict
from tests import forked
from tests.fix_pg import Server, fresh_database
from tests.support import wait_until

T = TypeVar("T")

START_TIMEOUT = 30.0
PYTHON = sys.executable
"""A test that wants its workers started by another interpreter replaces sys.executable."""
DEFAULTS: dict[str, Any] = {
    "gateway.port": 0,
    "gateway.shutdown_timeout": 1.0,
    "pool.min_size": 0,
    "pool.max_size": 4,
    "trace.flush_interval": 0.05,
    "log.level": "error",
}


async def allow(_: Question) -> Verdict:
    return Verdict()


class Seen:
    """What the workers told of: an Observer that adds it up. Read it from any thread."""

    def __init__(self) -> None:
        self.counts: list[StatementCount] = []
        self.slow: list[SlowStatement] = []
        self.transactions: list[TransactionCount] = []
        self.repeated: list[Repeated] = []
        self.spans: list[SlowStatement] = []
        self.snapshots: dict[int, WorkerSnapshot] = {}
        self.frames = 0
        self.refusals: list[Refusal] = []
        self.questions: list[Question] = []
        self.verdict: Callable[[Question], Awaitable[Verdict]] = allow
        self._texts: dict[int, str] = {}

    def observed(self, worker: int, message: Observed) -> None:
        """See supervisor.Observer."""
        for count in message.counts:
            if count.text:
                self._texts[count.fingerprint] = count.text
        self.counts += message.counts
        self.slow += message.slow
        self.transactions += message.transactions
        self.repeated += message.repeated
        self.spans += message.spans
        self.snapshots[worker] = message.snapshot
        self.refusals += message.refusals
        self.frames += 1

    async def asked(self, worker: int, question: Question) -> Verdict:
        """See supervisor.Observer; a test says by `verdict` what is answered."""
        self.questions.append(question)
        return await self.verdict(question)

    def of(self, fragment: str) -> list[StatementCount]:
        """The counts of the statements whose redacted text holds `fragment`."""
        counts = list(self.counts)
        return [count for count in counts if fragment in self._texts.get(count.fingerprint, "")]

    def calls(self, fragment: str) -> int:
        return sum(count.calls for count in self.of(fragment))

    def rows(self, fragment: str) -> int:
        return sum(count.rows for count in self.of(fragment))

    def errors(self, fragment: str) -> dict[str, int]:
        total: dict[str, int] = {}
        for count in self.of(fragment):
            for sqlstate, number in count.errors.items():
                total[sqlstate] = total.get(sqlstate, 0) + number
        return total

    def next_frame(self) -> None:
        """Wait until all that has happened so far has been told of."""
        wanted = self.frames + 2
        wait_until(lambda: self.frames >= wanted, what="two reports of the worker")

    @property
    def everything(self) -> str:
        """All texts that left the worker and may be shown."""
        slow = [statement.text for statement in list(self.slow)]
        return "\n".join([*self._texts.values(), *slow])


class Gateway:
    """A running gateway. `dsn` gives a conninfo that leads through it."""

    def __init__(self, settings: Settings, seen: Seen, runner: Runner) -> None:
        self.settings = settings
        self.seen = seen
        self._runner = runner
        self._drained = False
        self.supervisor = runner.call(_start(settings, seen))
        self.host, self.port = self.supervisor.address

    @property
    def socket_dir(self) -> str:
        return self.settings.gateway.unix_socket_dir

    def dsn(self, **parameters: Any) -> str:
        """A conninfo through the gateway to the served database; `parameters` override it."""
        server = conninfo_to_dict(self.settings.server.dsn)
        known = {key: server[key] for key in ("dbname", "user") if key in server}
        parameters = {"gssencmode": "disable", "sslmode": "disable"} | parameters
        address = {"host": self.host or self.socket_dir, "port": self.port}
        return make_conninfo(**{**address, **known, **parameters})

    def connect(self, **parameters: Any) -> psycopg.Connection[Any]:
        """A connection in autocommit through the gateway."""
        options = {k: parameters.pop(k) for k in ("prepare_threshold",) if k in parameters}
        return psycopg.connect(self.dsn(**parameters), autocommit=True, **options)

    @property
    def pool(self) -> PoolSnapshot:
        """The one pool of the one worker, as it last told."""
        self.seen.next_frame()
        (pool,) = self.seen.snapshots[0].pools
        return pool

    @property
    def pids(self) -> list[int]:
        return list(self.supervisor.workers.values())

    def reload(self, **overrides: Any) -> None:
        self._runner.loop.call_soon_threadsafe(
            self.supervisor.reload, settings_of(self.settings, overrides)
        )

    def forget(self, *fingerprints: int) -> None:
        """Let the workers ask anew about these, or about all."""
        self._runner.loop.call_soon_threadsafe(self.supervisor.forget, list(fingerprints))

    def start_drain(self) -> Any:
        """Begin to shut down; gives a future."""
        self._drained = True
        return asyncio.run_coroutine_threadsafe(self.supervisor.drain(), self._runner.loop)

    def drain(self) -> None:
        if not self._drained:
            self.start_drain().result(30)


class Runner:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="gateway")
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(START_TIMEOUT)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class QuickSupervisor(Supervisor):
    """Its workers are forked from one that has imported all; see tests/forked.py."""

    async def _launch(self, link: int, listeners: list[int]) -> asyncio.subprocess.Process:
        if sys.executable != PYTHON:
            return await super()._launch(link, listeners)
        return cast("asyncio.subprocess.Process", forked.start(link, listeners))


async def _start(settings: Settings, seen: Seen) -> Supervisor:
    supervisor = QuickSupervisor(settings, seen)
    supervisor.listen()
    await supervisor.start()
    return supervisor


def settings_of(base: Settings, overrides: dict[str, Any]) -> Settings:
    """`base` with dotted keys replaced; `databases`, `users` and `applications` as wholes."""
    for key, value in overrides.items():
        section, _, name = key.partition(".")
        part = replace(getattr(base, section), **{name: value}) if name else value
        base = replace(base, **{section: part})
    return base


@contextmanager
def running(dsn: str, runner: Runner, **overrides: Any) -> Iterator[Gateway]:
    """A gateway in front of `dsn`. A key's dot is written as two underscores."""
    assert {field.name for field in fields(Settings)} >= {k.split("__")[0] for k in overrides}
    dotted = {key.replace("__", "."): value for key, value in overrides.items()}
    with tempfile.TemporaryDirectory(prefix="dbopt-gw-") as directory:
        place = {"server.dsn": dsn, "gateway.unix_socket_dir": directory}
        settings = settings_of(Settings(), {**DEFAULTS, **place, **dotted})
        gateway = Gateway(settings, Seen(), runner)
        try:
            yield gateway
        finally:
            gateway.drain()


GatewayFactory = Callable[..., Gateway]


@pytest.fixture(scope="session")
def gateway_loop() -> Iterator[Runner]:
    runner = Runner()
    yield runner
    runner.stop()


@pytest.fixture
def make_gateway(pg_dsn: str, gateway_loop: Runner) -> Iterator[GatewayFactory]:
    """Starts gateways in front of a new database: make_gateway(pool__max_size=1, dsn=...)."""
    with ExitStack() as stack:

        def make(dsn: str = "", **overrides: Any) -> Gateway:
            return stack.enter_context(running(dsn or pg_dsn, gateway_loop, **overrides))

        yield make


@pytest.fixture
def gateway(make_gateway: GatewayFactory) -> Gateway:
    """A gateway with four backends at most, in front of a new database."""
    return make_gateway()


@pytest.fixture(scope="module")
def shared_gateway(pg_backend: Server, gateway_loop: Runner) -> Iterator[Gateway]:
    """One gateway and one database for a module whose tests leave both as they were."""
    with fresh_database(pg_backend) as dsn, running(dsn, gateway_loop) as gateway:
        yield gateway


@pytest.fixture
def userlist(tmp_path: Path) -> Callable[[str], str]:
    """Writes a user list; gives its path."""

    def write(content: str) -> str:
        path = tmp_path / "userlist.txt"
        path.touch(mode=0o600)
        path.write_text(content)
        return str(path)

    return write
