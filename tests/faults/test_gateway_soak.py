"""Many clients on few backends, and all that goes wrong at once: no reply is lost or crossed.

The clients are in processes of their own (soak_clients.py); here are those who make trouble.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import msgspec
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from dbopt.verdict import Question, Verdict
from tests.faults.soak_clients import Options, Report
from tests.faults.soak_work import (
    ACCOUNTS,
    GUARDED,
    REFUSED,
    STATEFUL,
    WITHOUT_TRANSACTIONS,
    WORK,
    Unit,
)
from tests.fix_gateway import Gateway, GatewayFactory
from tests.support import wait_until

POOL: dict[str, Any] = {"pool__max_size": 8, "gateway__prepared_statements": 5}
PROCESSES, BACKENDS = 2, 8
SETUP = f"""
CREATE TABLE bank (id int PRIMARY KEY, money int) WITH (fillfactor = 50);
INSERT INTO bank SELECT g, 100 FROM generate_series(0, {ACCOUNTS - 1}) g;
CREATE TABLE journal (client text, step int);
CREATE TABLE copied (tag text);
"""
RELOADS: tuple[dict[str, Any], ...] = (
    {"gateway.queue_timeout": 25.0, "trace.slow": 1.0, "trace.parameters": True},
    {"gateway.queue_timeout": 30.0, "trace.slow": 500.0, "pool.warn_ratio": 0.5},
)


@dataclass(frozen=True)
class Length:
    """Of a run: it ends at so many transactions, or seconds."""

    transactions: int
    seconds: float
    kill_every: float


SHORT = Length(1_000_000, 6.0, 0.15)
BRIEF = Length(1_000_000, 4.0, 0.15)
LONG = Length(220_000, 1500.0, 0.25)


@dataclass(frozen=True)
class Mode:
    """The pool's mode, and what its clients do in it: `most` units a connection."""

    name: str
    clients: int
    stateful: list[str]
    work: tuple[Unit, ...] = WORK
    most: int = 400
    guard: bool = False


TRANSACTION = Mode("transaction", 200, [*STATEFUL])
SESSION = Mode("session", 20, [*STATEFUL], most=40)
"""Each client has its backend until it leaves, so the others wait that long."""
STATEMENT = Mode("statement", 100, ["sql_prepare", "listen"], WITHOUT_TRANSACTIONS)
UNDER_GUARD = Mode("transaction", 200, [*STATEFUL, *GUARDED], guard=True)


async def judged(question: Question) -> Verdict:
    """Some are heavy, some counted, some soon forgotten, and some verdicts come late."""
    if "refuse" in question.text:
        return Verdict(refused=True, rule="complexity", sqlstate=REFUSED, message="Too complex.")
    kind = question.fingerprint % 11
    if kind == 0:
        await asyncio.sleep(0.05)
    return Verdict(
        heavy=kind in (1, 2, 3),
        max_rows=1_000_000 if kind in (3, 4, 5) else 0,
        timeout=60.0 if kind in (5, 6) else 0.0,
        expires=time.time() + 0.3 if kind in (2, 4, 7) else 0.0,
    )


class Trouble:
    """Kills backends and reloads settings until it is told to stop."""

    def __init__(self, gateway: Gateway, direct: str, every: float) -> None:
        self.gateway = gateway
        self.direct = direct
        self.every = every
        self.done: Counter[str] = Counter()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=t) for t in (self._kill, self._reload)]

    def __enter__(self) -> Trouble:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _kill(self) -> None:
        chance = random.Random(0)  # noqa: S311 - no secret
        with psycopg.connect(self.direct, autocommit=True) as admin:
            while not self._stop.wait(chance.uniform(0.5, 1.5) * self.every):
                found = admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> "
                    "pg_backend_pid() AND datname = current_database() ORDER BY random() LIMIT 1"
                )
                self.done["kills"] += len(found.fetchall())

    def _reload(self) -> None:
        while not self._stop.wait(0.7):
            self.gateway.reload(**RELOADS[self.done["reloads"] % len(RELOADS)])
            self.done["reloads"] += 1


def clients(gateway: Gateway, length: Length, mode: Mode) -> list[Report]:
    """Run the clients' processes to their end; gives what each reports."""
    parts = conninfo_to_dict(gateway.dsn())
    address = (str(parts["host"]), int(str(parts["port"])), str(parts["user"]))
    commands = [
        Options(
            *address, str(parts["dbname"]), mode.clients // PROCESSES,
            length.transactions // PROCESSES, length.seconds, prefix=f"p{number}", seed=number,
            stateful=mode.stateful, transactions_open=mode.work is WORK, most=mode.most,
        )
        for number in range(PROCESSES)
    ]  # fmt: skip
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.faults.soak_clients", msgspec.json.encode(one).decode()],
            stdout=subprocess.PIPE,
        )
        for one in commands
    ]
    reports = []
    for process in running:
        out, _ = process.communicate(timeout=length.seconds + 90)
        assert 0 == process.returncode
        reports.append(msgspec.json.decode(out, type=Report))
    return reports


def total(reports: list[Report], name: str) -> Counter[str]:
    return sum((Counter(getattr(report, name)) for report in reports), Counter())


def table(reports: list[Report], trouble: Trouble, seconds: float) -> str:
    """What was done, to be read by people."""
    transactions = sum(report.transactions for report in reports)
    lines = [
        ("transactions", f"{transactions} in {seconds:.0f} s, {transactions / seconds:.0f}/s"),
        *sorted(trouble.done.items()),
        *sorted(total(reports, "counts").items()),
        *((f"error {code}", n) for code, n in sorted(total(reports, "faults").items())),
        *((f"closed {code}", n) for code, n in sorted(total(reports, "lost").items())),
        *sorted(total(reports, "units").items()),
    ]
    return "\n".join(f"  {name:<22} {value:>10}" for name, value in lines)


def check_journal(direct: str, reports: list[Report]) -> None:
    """What was acknowledged is there once; what was not, once at most; nothing else is."""
    acked = {(tag, step) for report in reports for tag, own in report.acked.items() for step in own}
    unsure = {
        (tag, step) for report in reports for tag, own in report.unsure.items() for step in own
    }
    with psycopg.connect(direct) as connection:
        found = connection.execute("SELECT client, step FROM journal").fetchall()
    assert len(found) == len(set(found)), "something was written twice"
    assert set() == acked - set(found)
    assert set() == set(found) - acked - unsure


def held(gateway: Gateway) -> list[object]:
    """What the gateway still has for somebody: the number of clients, and pools."""
    gateway.seen.next_frame()
    snapshot = gateway.seen.snapshots[0]
    busy = [
        pool for pool in snapshot.pools
        if pool.cl_active or pool.cl_waiting or pool.sv_active
        or pool.lane_active or pool.lane_waiting
    ]  # fmt: skip
    return [*([snapshot.clients] if snapshot.clients else []), *busy]


def activity(direct: str) -> list[object]:
    """What the server does for others at this moment."""
    with psycopg.connect(direct, autocommit=True) as connection:
        found = connection.execute(
            "SELECT pid, state, wait_event_type, wait_event, now() - state_change, "
            "now() - query_start, application_name, query FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
        return [*found.fetchall()]


def check_at_rest(gateway: Gateway, direct: str) -> None:
    """No client, no lease, no backend beyond the limit is left, and no money is lost."""
    try:
        wait_until(lambda: not held(gateway), 15, "the gateway at rest")
    except BaseException:
        print("held:", *held(gateway), "the server:", *activity(direct), sep="\n  ")
        raise
    with psycopg.connect(direct, autocommit=True) as connection:
        assert (ACCOUNTS * 100,) == connection.execute("SELECT sum(money) FROM bank").fetchone()
        others = "SELECT state FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND "
        states = connection.execute(others + "datname = current_database()").fetchall()
    assert {("idle",)} >= set(states)
    assert BACKENDS + 1 >= len(states)  # one listens for all


@pytest.mark.parametrize(
    ("length", "mode"),
    [
        pytest.param(SHORT, TRANSACTION, id="short"),
        pytest.param(BRIEF, SESSION, id="session"),
        pytest.param(BRIEF, STATEMENT, id="statement"),
        pytest.param(SHORT, UNDER_GUARD, id="guard"),
        pytest.param(
            LONG, TRANSACTION, id="long",
            marks=[pytest.mark.soak, pytest.mark.timeout(2 * LONG.seconds)],
        ),
    ],
)  # fmt: skip
def test_no_reply_is_lost_or_crossed(
    make_gateway: GatewayFactory, pg_dsn: str, length: Length, mode: Mode
) -> None:
    with psycopg.connect(pg_dsn, autocommit=True) as connection:
        connection.execute(SETUP)
    enforce = {"guard__mode": "enforce"} if mode.guard else {}
    gateway = make_gateway(**POOL, **enforce, pool__mode=mode.name)
    gateway.seen.verdict = judged
    pids, restarts = gateway.pids, gateway.supervisor.restarts
    started = time.monotonic()
    with Trouble(gateway, pg_dsn, length.kill_every) as trouble:
        reports = clients(gateway, length, mode)
    print(table(reports, trouble, time.monotonic() - started))
    wrong = [wrong for report in reports for wrong in report.wrong]
    print("\n".join(wrong))
    assert [] == wrong
    done = {unit.__name__ for unit in mode.work} | set(mode.stateful)
    assert done <= total(reports, "units").keys()
    assert (pids, restarts) == (gateway.pids, gateway.supervisor.restarts)
    check_journal(pg_dsn, reports)
    check_at_rest(gateway, pg_dsn)
    if length is LONG:
        assert LONG.transactions <= sum(report.transactions for report in reports) + 1000
