"""A session by itself; with psycopg it is tested in tests/integration/test_inprocess_*.py."""

from __future__ import annotations

import gc
import signal
import weakref
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from dbopt.inprocess import session as module
from dbopt.inprocess.counting import Counting, Limits, Origin
from dbopt.inprocess.route import route
from dbopt.inprocess.session import Session


class Cursor:
    """As much of psycopg's as a session looks at."""

    rowcount = 3

    def _execute_gen(self, query: Any, params: Any = None) -> Iterator[None]:
        yield

    def _start_copy_gen(self, statement: Any, params: Any = None) -> Iterator[None]:
        assert super().__repr__()
        yield

    def _rebuilt(self) -> Iterator[None]:
        yield


def made(counting: Counting) -> tuple[Session, Any]:
    pgconn = SimpleNamespace(transaction_status=0, status=0, backend_pid=7)
    session = Session(counting, pgconn, Origin("d", "u", "a"), comments=False)
    return session, SimpleNamespace(_pipeline=None, autocommit=True, pgconn=pgconn)


def run(session: Session, connection: Any, query: Any, error: BaseException | None = None) -> None:
    gen = session.begin(Cursor()._execute_gen(query))
    next(gen)
    session.end(connection, None, error)


def test_a_statement_the_first_time_and_then() -> None:
    counting = Counting(Limits())
    session, connection = made(counting)
    session.leased(5000.0)
    for _ in range(3):
        run(session, connection, "SELECT 1")
    (count,) = counting.drain()
    assert (3, 9, 5000.0) == (count.calls, count.rows, count.queue_us)
    assert 5000.0 < count.max_us < count.total_us
    assert 0 == counting.faults


def test_nothing_that_goes_wrong_reaches_the_application(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise LookupError

    counting = Counting(Limits())
    session, connection = made(counting)
    monkeypatch.setattr(Session, "_count", broken)
    run(session, connection, "SELECT 1")
    assert 1 == counting.faults
    monkeypatch.setattr(module, "KINDS", SimpleNamespace(get=broken))
    run(session, connection, "SELECT 1")
    assert 2 == counting.faults
    # A psycopg whose generators are none.
    assert session.begin(iter(())) is not None
    session.end(connection, None, None)
    assert [] == counting.drain()


def test_a_query_of_an_unknown_type_is_a_fault_and_no_error() -> None:
    counting = Counting(Limits())
    session, connection = made(counting)
    run(session, connection, object())
    assert 1 == counting.faults


def test_a_template_string_is_told_by_what_is_constant_in_it() -> None:
    counting = Counting(Limits())
    session, connection = made(counting)
    run(session, connection, SimpleNamespace(strings=("SELECT ", ", ", "")))
    (count,) = counting.drain()
    assert "SELECT $1, $2" == count.text


def test_an_operation_it_does_not_know_is_let_through() -> None:
    counting = Counting(Limits())
    session, connection = made(counting)
    gen = Cursor()._rebuilt()
    assert gen is session.begin(gen)
    session.end(connection, None, None)
    assert ([], 0) == (counting.drain(), counting.faults)


def test_it_holds_no_cursor_when_the_operation_has_ended() -> None:
    session, connection = made(Counting(Limits()))
    cursor = Cursor()
    gone = weakref.ref(cursor)
    gen = session.begin(cursor._execute_gen("SELECT 1", [b"x"]))
    session.end(connection, None, None)
    del cursor, gen
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize(
    ("error", "status", "sqlstate"),
    [
        (ConnectionError(), 1, "08006"),
        (KeyboardInterrupt(), 0, "57014"),
        (type("Failed", (Exception,), {"sqlstate": "42P01"})(), 0, "42P01"),
        (TypeError("never sent"), 0, None),
    ],
)
def test_errors(error: BaseException, status: int, sqlstate: str | None) -> None:
    counting = Counting(Limits())
    session, connection = made(counting)
    connection.pgconn.status = status
    run(session, connection, "SELECT 1", error)
    found = [count.errors for count in counting.drain()]
    assert ([{sqlstate: 1}] if sqlstate else []) == found


def test_a_comment_that_cannot_be_put_in_leaves_the_operation_as_it_was() -> None:
    class Odd(Cursor):
        def _execute_gen(self, *args: Any, **kwargs: Any) -> Iterator[None]:
            return super()._execute_gen(*args, **kwargs)

        def _declare_gen(self, *query: Any) -> Iterator[None]:
            yield

    counting = Counting(Limits())
    session, _ = made(counting)
    session.comments = True
    with route("/r"):
        gen = session.begin(Odd()._declare_gen("SELECT 1"))
        assert [None] == list(gen)
        assert 1 == counting.faults
        gen = session.begin(Cursor()._start_copy_gen("COPY t FROM STDIN"))
        assert "COPY t FROM STDIN /*route='%2Fr'*/" == gen.gi_frame.f_locals["statement"]
        assert [None] == list(gen)
    assert 1 == counting.faults


def test_a_tagged_text_is_known_in_its_routes_scope_and_a_long_one_is_no_key() -> None:
    counting = Counting(Limits())
    session, connection = made(counting)
    for padding in ("", " " * 5000):
        for _ in range(2):
            run(session, connection, f"SELECT 1{padding} /*route='a'*/")
    assert 1 == len(session.scope.by_key)
    assert 4 == sum(count.calls for count in counting.drain())


def test_what_a_signal_handler_raises_is_the_applications(monkeypatch: pytest.MonkeyPatch) -> None:
    class TimeLimit(Exception):
        pass

    class Worker:
        def on_alarm(self, *_: object) -> None:
            raise TimeLimit

    counting = Counting(Limits())
    session, connection = made(counting)
    monkeypatch.setattr(Session, "_count", lambda *_: signal.raise_signal(signal.SIGUSR1))
    before = signal.signal(signal.SIGUSR1, Worker().on_alarm)
    try:
        with pytest.raises(TimeLimit):
            run(session, connection, "SELECT 1")
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert (0, None) == (counting.faults, session.cursor)
