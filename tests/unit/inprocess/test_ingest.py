"""The rest is tested with real sockets, in tests/integration/test_inprocess_daemon.py."""

from __future__ import annotations

from dbopt.inprocess.ingest import Allowance


def test_what_is_taken_beyond_the_share_is_waited_for() -> None:
    now = [0.0]
    allowance = Allowance(100.0, 300.0, lambda: now[0])
    assert [0.0, 0.0, 1.0, 4.0] == [allowance.spend(cost) for cost in (100.0, 200.0, 100.0, 300.0)]
    now[0] = 5.0
    assert 0.0 == allowance.spend(50.0)
    now[0] = 1000.0
    assert 1.0 == allowance.spend(400.0)
