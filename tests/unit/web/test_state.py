from __future__ import annotations

from dbopt.web.state import no_backend, status
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


def test_no_backend() -> None:
    assert "" != no_backend([])
    assert "" != no_backend([pool(sv_login=3)])
    assert "" == no_backend([pool(), pool(sv_idle=1)])
    assert "" == no_backend([pool(sv_active=1)])
