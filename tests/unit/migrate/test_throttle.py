from __future__ import annotations

from typing import Any

import pytest

from dbopt.migrate.throttle import Throttle
from dbopt.pg import look
from dbopt.settings import Migrate

NEAR = look.Standby("near", False, 0.2, 4_000_000)
FAR = look.Standby("far", False, 31.0, 9_000_000)
AWAY = look.Standby("away", False, 0.1, 288_000_000, catching_up=True)


@pytest.mark.parametrize(
    ("standbys", "expected"),
    [
        ([], ""),
        ([NEAR], ""),
        (
            [NEAR, FAR],
            "the standby far is 31 s and 9 MB behind (migrate.max_replication_lag is 30 s)",
        ),
        # What a standby gets that was away counts its seconds from when that is sent.
        (
            [NEAR, FAR, AWAY],
            "the standby away is catching up, 288 MB behind (migrate.max_replication_lag is 30 s)",
        ),
    ],
)
def test_the_standby_that_is_furthest_behind_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, standbys: list[look.Standby], expected: str
) -> None:
    monkeypatch.setattr(look, "standbys", lambda connection: standbys)
    connection: Any = None
    limits = Migrate(max_replication_lag=30, max_lock_waiters=0, max_active=0)

    assert expected == Throttle(lambda: connection, limits).above()
