from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from dbopt.cli.topscreen import Look, frame_of, screen


def statement(name: str, calls: int, total_ms: float, **given: Any) -> dict[str, Any]:
    return {
        "fingerprint": f"{hash(name) % 2**64:016x}", "query": name, "calls": calls,
        "total_ms": total_ms, "rows": calls, "errors": {},
    } | given  # fmt: skip


def session(pid: int, **given: Any) -> dict[str, Any]:
    return {
        "pid": pid, "state": "active", "wait": "CPU", "fingerprint": "", "query": "SELECT x",
        "database": "app", "user": "al[/]ice", "application": "", "seconds": 1.5,
        "blocked_by": [], "lock_mode": "", "lock_object": "",
    } | given  # fmt: skip


def look(at: float, *statements: dict[str, Any], **given: Any) -> Look:
    pool = {
        "database": "app", "user": "alice", "cl_active": 2, "cl_waiting": 1, "sv_active": 2,
        "sv_idle": 0, "max_size": 4, "maxwait": 0.25, "query_count": 100 * at,
    }  # fmt: skip
    status = {
        "version": "1", "uptime": 10.0, "pools": [pool],
        "totals": {"calls": sum(one["calls"] for one in statements), "errors": {"40001": int(at)}},
    }  # fmt: skip
    activity = {"sampled": True, "load": {"CPU": 1.5, "Lock": 0.5}, "sessions": []} | given
    return Look(at, status, activity, statements, ())


BEFORE = look(10.0, statement("often", 100, 1000.0), statement("gone", 5, 9000.0))
NOW = look(
    12.0, statement("often", 140, 1200.0), statement("new", 2, 3000.0, errors={"57014": 1}),
    statement("gone", 5, 9000.0),
    sessions=[session(7, blocked_by=[8], seconds=3.0, lock_object="users"), session(8)],
)  # fmt: skip


def text(frame: dict[str, Any], width: int = 80, height: int = 24) -> str:
    out = io.StringIO()
    Console(file=out, width=width, height=height).print(screen(frame, height))
    return out.getvalue()


def test_what_ran_between_two_looks() -> None:
    frame = frame_of(BEFORE, NOW)
    assert [("new", 2, 1.0, 1.5, 1500.0, 1), ("often", 40, 20.0, 0.1, 5.0, 0)] == [
        (one["query"], one["calls"], one["calls_per_second"], one["load"], one["mean_ms"],
         one["errors"])
        for one in frame["statements"]
    ]  # fmt: skip
    assert (2, 100.0) == (frame["errors"], frame["pools"][0]["per_second"])
    assert ([7], [8]) == (
        [one["pid"] for one in frame["blocked"]], [one["pid"] for one in frame["longest"]],
    )  # fmt: skip


def test_who_holds_others_up() -> None:
    chain = [
        session(1, state="idle in transaction"), session(2, blocked_by=[1]),
        session(3, blocked_by=[2]), session(4, blocked_by=[2, 3]), session(6, blocked_by=[5]),
        session(5), session(7, blocked_by=[99]), session(8, blocked_by=[9]),
        session(9, blocked_by=[8]),
    ]  # fmt: skip
    frame = frame_of(BEFORE, look(12.0, sessions=chain))
    assert [(1, 3), (5, 1)] == [(one["pid"], one["blocks"]) for one in frame["blocking"]]
    assert "1 blocks 3, idle in transaction 1.50 s · al[/]ice@app" in text(frame)


@pytest.mark.parametrize(
    ("sort", "first"), [("t", "new"), ("c", "often"), ("m", "new"), ("r", "often"), ("e", "new")]
)
def test_sorts(sort: str, first: str) -> None:
    assert first == frame_of(BEFORE, NOW, sort)["statements"][0]["query"]


@pytest.mark.parametrize("width", [60, 80, 200])
def test_it_fits(width: int) -> None:
    many = look(12.0, *(statement(f"SELECT {n} " * 30, 5 + n, 10.0) for n in range(100)),
                sessions=[session(n, blocked_by=[99]) for n in range(30)])  # fmt: skip
    shown = text(frame_of(BEFORE, many), width).splitlines()
    assert max(map(len, shown)) <= width
    assert len(shown) <= 24


def test_what_is_shown() -> None:
    shown = text(frame_of(BEFORE, NOW), 120)
    for words in ("Load 2.00", "CPU 1.50", "Lock 0.50", "app/alice", "2/4", "250 ms", "q quit",
                  "7 waits 3 s for 8 (users)", "al[/]ice@app"):  # fmt: skip
        assert words in shown


def test_nothing_to_show() -> None:
    idle = look(12.0, sampled=False, load={})
    shown = text(frame_of(idle, idle))
    assert "No statement passed in this interval." in shown
    assert "sessions are not sampled" in shown
