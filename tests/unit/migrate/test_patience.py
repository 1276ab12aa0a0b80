from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from dbopt.errors import (
    AuthenticationError,
    ConnectError,
    DeadlinePassed,
    MigrationError,
    ServerLost,
    TableLocked,
)
from dbopt.migrate.patience import Patience, is_lost
from dbopt.migrate.work import Deadline

LOST = ServerLost("gone")
NEVER = Deadline()


class _Server:
    """Fails with each of `errors`, one a call, then answers."""

    def __init__(self, *errors: Exception) -> None:
        self._errors: Iterator[Exception] = iter(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        for error in self._errors:
            raise error
        return "answer"


def _patience(
    back: _Server, told: list[str], deadline: Deadline = NEVER, attempts: int = 3
) -> Patience:
    def again() -> None:
        back()

    return Patience(again, told.append, deadline, attempts)


def test_what_is_lost() -> None:
    assert is_lost(LOST)
    assert is_lost(ConnectError("no"))
    assert is_lost(psycopg.errors.AdminShutdown())
    assert is_lost(psycopg.OperationalError("consuming input failed"))
    assert not is_lost(AuthenticationError("no"))
    assert not is_lost(psycopg.errors.UniqueViolation())
    assert not is_lost(MigrationError("no"))


def test_what_goes_well_is_done_once_and_nothing_is_told() -> None:
    told: list[str] = []
    act, back = _Server(), _Server()

    assert _patience(back, told).lasting(act, "It") == "answer"
    assert (act.calls, back.calls, told) == (1, 0, [])


def test_a_server_that_comes_back_is_waited_for() -> None:
    told: list[str] = []
    act, back = _Server(LOST), _Server(ConnectError("starting"))

    assert _patience(back, told).lasting(act, "It") == "answer"
    assert (act.calls, back.calls) == (2, 2)
    assert told == ["It: the server was lost. Waiting for it.", "The server is back; going on."]


def test_a_step_that_always_kills_its_session_is_given_up() -> None:
    act = _Server(LOST, LOST, LOST, LOST)
    with pytest.raises(ServerLost):
        _patience(_Server(), []).lasting(act, "It")
    assert act.calls == 3


def test_other_errors_pass() -> None:
    with pytest.raises(MigrationError):
        _patience(_Server(), []).lasting(_Server(MigrationError("no")), "It")
    with pytest.raises(AuthenticationError):
        _patience(_Server(AuthenticationError("no")), []).lasting(_Server(LOST), "It")


def test_the_deadline_ends_the_waiting() -> None:
    gone = _Server(*[ConnectError("away")] * 1000)
    with pytest.raises(DeadlinePassed, match="It was not begun"):
        _patience(gone, [], Deadline.after(0.15)).lasting(_Server(LOST), "It")


def test_a_table_that_is_locked_for_long_is_looked_at_again() -> None:
    told: list[str] = []
    act, back = _Server(TableLocked("t is locked."), TableLocked("t is locked.")), _Server()

    assert _patience(back, told).lasting(act, "It") == "answer"
    assert (act.calls, back.calls) == (3, 0)
    assert told == ["It: t is locked. Waiting for it."] * 2


@pytest.mark.parametrize(("deadline", "calls"), [(NEVER, 3), (Deadline(0.0), 1)])
def test_a_locked_table_is_waited_for_no_longer_than_may_be(deadline: Deadline, calls: int) -> None:
    act = _Server(*[TableLocked("t is locked.")] * 9)

    with pytest.raises(TableLocked):
        _patience(_Server(), [], deadline).lasting(act, "It")
    assert act.calls == calls
