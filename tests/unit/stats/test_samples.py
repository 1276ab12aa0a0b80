"""Samples: sums of what sessions did, their bounds, and who they give it to."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dbopt.stats import samples as module
from dbopt.stats.samples import CPU, OTHER, Samples, Session, sessions_of
from dbopt.store.frame import Target

AT = datetime(2026, 11, 23, tzinfo=UTC)


def session(pid: int = 1, wait: str = "", state: str = "active", **more: object) -> Session:
    kind, _, event = wait.partition(":")
    values: dict[str, object] = {"fingerprint": 7, "since": 100.0} | more
    return Session(
        pid, state, kind, event, values["fingerprint"], "alice", "web", "app",  # type: ignore[arg-type]
        values["since"], values.get("blocked_by", ()), values.get("mode", ""),  # type: ignore[arg-type]
        values.get("object", ""),  # type: ignore[arg-type]
    )  # fmt: skip


def test_waits_are_counted_by_what_and_who() -> None:
    seen = Samples()
    seen.add([session(), session(2, "IO:DataFileRead")], 101.0)
    seen.add([session()], 102.0)

    waits, blocking = seen.take("here:5432", AT)
    assert (Target("here:5432"), "waits", AT, 2.0) == (
        waits.target, waits.view, waits.at, waits.seconds,
    )  # fmt: skip
    assert {
        ("active", "", "", 7, "alice", "web", "app"): (2,),
        ("active", "IO", "DataFileRead", 7, "alice", "web", "app"): (1,),
    } == waits.changed
    assert {} == blocking.changed
    assert [] == seen.take("here:5432", AT)


def test_load_is_average_active_sessions() -> None:
    seen = Samples()
    seen.add([session(1), session(2), session(3, "Lock:relation")], 101.0)
    seen.add([session(1), session(4, state="idle in transaction")], 102.0)
    assert {CPU: 1.5, "Lock": 0.5} == seen.load()
    assert {CPU: 1.0} == seen.load(seconds=1.0)
    assert {} == Samples().load()


def test_idle_time_is_no_load_but_idle_seconds_count() -> None:
    seen = Samples()
    for second in range(4):
        seen.add([session()] if second == 0 else [], 100.0 + second)
    assert {CPU: 0.25} == seen.load()


def test_who_blocks_whom() -> None:
    seen = Samples()
    waiting = session(
        2, "Lock:relation", fingerprint=9, blocked_by=(1, 99), mode="ShareLock", object="public.t"
    )
    seen.add([session(1, state="idle in transaction", fingerprint=4), waiting], 101.0)
    _, blocking = seen.take("here:5432", AT)
    assert {
        (9, 4, "ShareLock", "public.t"): (1,),
        (9, 0, "ShareLock", "public.t"): (1,),
    } == blocking.changed


def test_a_statements_own_waits() -> None:
    seen = Samples()
    for second in range(3):
        seen.add([session(1, "IO:DataFileRead", since=99.5)], 100.0 + second)
    seen.add([session(1, since=99.5), session(2, "LWLock:WALWrite", since=101.0)], 103.0)
    seen.add([session(1, "Client:ClientRead", since=103.5)], 104.0)

    assert {"IO:DataFileRead": 3, CPU: 1} == seen.waits(1, 99.4, 103.2)
    assert {"Client:ClientRead": 1} == seen.waits(1, 103.4, 105.0)
    assert {} == seen.waits(3, 99.0, 105.0)
    assert {} == seen.waits(1, 90.0, 95.0)


def test_what_is_old_is_forgotten() -> None:
    seen = Samples()
    seen.add([session()], 101.0)
    seen.add([], 101.0 + module._KEPT_RUNS + 1)
    assert {} == seen.waits(1, 99.0, 105.0)


def test_too_many_kinds_are_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_KEYS", 2)
    seen = Samples()
    seen.add([session(number, f"IO:e{number}") for number in range(5)], 101.0)
    waits, _ = seen.take("here:5432", AT)
    assert 5 == sum(values[0] or 0 for values in waits.changed.values())
    assert (3,) == waits.changed[(OTHER, OTHER, OTHER, 0, OTHER, OTHER, OTHER)]


ROW: dict[str, object] = {
    "pid": 5, "database": "app", "user": "alice", "application": "web", "state": "active",
    "wait_event_type": "Lock", "wait_event": "tuple", "queryid": None, "query": "SELECT 1",
    "query_start": 1000.0, "now": 1001.0, "blocked_by": [4],
}  # fmt: skip


def test_rows_of_the_server() -> None:
    idle = ROW | {"state": "idle in transaction", "query_start": None}
    first, second = sessions_of([ROW, idle], lambda row: 42, offset=-0.5)
    assert (42, 999.5, (4,), True, "Lock:tuple") == (
        first.fingerprint, first.since, first.blocked_by, first.active, first.wait,
    )  # fmt: skip
    assert (0.0, False) == (second.since, second.active)


@pytest.mark.parametrize(
    ("state", "took", "wait"),
    [
        ("active", 0.0002, CPU),  # its statement ended between two looks at it
        ("active", 5.0, "Client:ClientRead"),  # COPY FROM STDIN
        ("idle in transaction", 0.0002, "Client:ClientRead"),
    ],
)
def test_a_short_statement_does_not_wait_for_the_client(state: str, took: float, wait: str) -> None:
    row = ROW | {
        "state": state, "wait_event_type": "Client", "wait_event": "ClientRead",
        "now": 1000.0 + took,
    }  # fmt: skip
    (seen,) = sessions_of([row], lambda row: 42, offset=0.0)
    assert wait == seen.wait
