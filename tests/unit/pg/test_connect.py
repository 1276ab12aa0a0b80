from __future__ import annotations

import psycopg
import pytest
from psycopg.abc import PQGen
from psycopg.waiting import Ready, Wait

from dbopt import clock
from dbopt.pg.connect import Unanswered, _limited, unreachable


def rows(count: int) -> PQGen[int]:
    """Waits so often for the server."""
    for _ in range(count):
        yield Wait.R
    return count


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    at = [0.0]
    monkeypatch.setattr(clock, "monotonic", lambda: at[0])
    return at


def test_a_result_that_takes_long_to_come_is_no_silence(now: list[float]) -> None:
    limited = _limited(rows(4), 7, 1.0)
    next(limited)
    limited.send(Ready.NONE)
    now[0] = 60.0
    limited.send(Ready.R)
    now[0] = 60.5
    limited.send(Ready.NONE)
    with pytest.raises(StopIteration) as ended:
        limited.send(Ready.R)
    assert 4 == ended.value.value


def test_a_server_that_falls_silent_is_given_up(now: list[float]) -> None:
    limited = _limited(rows(3), 7, 1.0)
    next(limited)
    now[0] = 1.5
    with pytest.raises(Unanswered, match="pid 7 has not answered for 1 s"):
        limited.send(Ready.NONE)


def test_a_server_that_answers_is_not_called_unreachable() -> None:
    error = psycopg.OperationalError(
        'connection failed: connection to server at "::1", port 1 failed: '
        'FATAL:  database "shop" does not exist'
    )
    expected = (
        'PostgreSQL at ::1:1/shop as me answers: database "shop" does not exist. '
        "Correct it in server.dsn, or give another with --dsn."
    )
    assert expected == str(unreachable("host=::1 port=1 dbname=shop user=me", error))
