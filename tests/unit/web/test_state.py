from __future__ import annotations

from dbopt.sql.fingerprint import fingerprint
from dbopt.stats.samples import Samples, Session
from dbopt.web.state import activity, no_backend, status
from tests.unit.trace.observations import count, pool, slow, worker
from tests.unit.web.served import SomeState


def test_status() -> None:
    state = SomeState()
    state.recorder.add([count(times_us=(1000.0, 2000.0))])
    state.slow.add([slow(sqlstate="57014")])
    state.workers.observed(0, worker(100, pool(sv_idle=2)))
    state.jobs.declare("stats")
    shown = status(state)
    assert ["1.2.3", 12.3, {"host": "127.0.0.1", "port": 6432}, 0] == [
        shown["version"], shown["uptime"], shown["gateway"], shown["worker_restarts"],
    ]  # fmt: skip
    assert [100] == [one["pid"] for one in shown["workers"]]
    assert [("app", 2)] == [(one["database"], one["sv_idle"]) for one in shown["pools"]]
    assert 2 == shown["totals"]["calls"]
    assert {"count": 1, "errors": 1} == shown["slow"]
    assert {"mode": "observe", "observed": 0, "refused": 0, "quarantined": 0} == shown["guard"]
    assert ["stats"] == [job["name"] for job in shown["jobs"]]
    assert {"ready": False, "reason": "The schema dbopt is not there."} == shown["store"]


def test_activity_names_statements_and_who_waits_for_whom() -> None:
    state = SomeState()
    state.recorder.add([count("SELECT a")])
    state.activity = Samples()
    waiting = Session(
        7, "active", "Lock", "tuple", fingerprint("SELECT a"), "alice", "web", "app", 90.0, (8,),
        "ShareLock", "users",
    )  # fmt: skip
    idle = Session(8, "idle in transaction", "Client", "ClientRead", 0, "bob", "", "app")
    state.activity.add([waiting, idle], 100.0)
    shown = activity(state, 100.5)
    assert {"Lock": 1.0} == shown["load"]
    assert {
        "pid": 7, "state": "active", "wait": "Lock:tuple", "query": "SELECT a",
        "fingerprint": f"{fingerprint('SELECT a'):016x}", "database": "app", "user": "alice",
        "application": "web", "seconds": 10.5, "blocked_by": [8], "lock_mode": "ShareLock",
        "lock_object": "users",
    } == shown["sessions"][0]  # fmt: skip
    assert ("", "", None) == tuple(shown["sessions"][1][n] for n in ("wait", "query", "seconds"))


def test_no_backend() -> None:
    assert "" != no_backend([])
    assert "" != no_backend([pool(sv_login=3)])
    assert "" == no_backend([pool(), pool(sv_idle=1)])
    assert "" == no_backend([pool(sv_active=1)])
