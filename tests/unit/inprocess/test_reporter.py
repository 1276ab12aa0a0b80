from __future__ import annotations

import threading

import pytest

from dbopt.inprocess import reporter as module
from dbopt.inprocess.counting import Counting, Limits, Origin
from dbopt.inprocess.messages import VERSION, Welcome
from dbopt.inprocess.reporter import Reporter
from tests.support import wait_until


def counted(counting: Counting) -> None:
    count = counting.learn(counting.scope(Origin("d", "u", "a")), "k", "SELECT 1")
    counting.add((count, 5.0, 0, 0.0, 0.0, ""))


def calls(reporter: Reporter) -> int:
    return sum(count.calls for count in reporter.total.counts.values())


def test_the_thread_begins_with_the_first_statement_and_adds_up() -> None:
    counting = Counting(Limits())
    reporter = Reporter(counting, interval=0.01)
    assert reporter._thread is None
    counted(counting)
    wait_until(lambda: calls(reporter) == 1)
    counted(counting)
    wait_until(lambda: calls(reporter) == 2)
    reporter.close()
    reporter.close()
    wait_until(lambda: not reporter._thread.is_alive())  # type: ignore[union-attr]
    counted(counting)
    reporter.collect()
    assert 3 == calls(reporter)


def test_an_end_of_the_interpreter_starts_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    counting = Counting(Limits())
    reporter = Reporter(counting)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    counted(counting)
    reporter.collect()
    assert 1 == calls(reporter)


def test_a_pool_that_is_garbage_waits_for_nothing_and_its_thread_ends() -> None:
    counting = Counting(Limits())
    reporter = Reporter(counting, interval=30.0)
    counted(counting)
    reporter.abandon()
    wait_until(lambda: not reporter._thread.is_alive())  # type: ignore[union-attr]
    assert 1 == calls(reporter)
    reporter.close()


def test_the_thread_itself_may_find_that_its_pool_is_garbage() -> None:
    counting = Counting(Limits())
    reporter = Reporter(counting, interval=0.01)
    flushed = reporter.flush

    def flush(timeout: float = 1.0) -> None:
        reporter.abandon()
        flushed(timeout)

    reporter.flush = flush  # type: ignore[method-assign]
    counted(counting)
    wait_until(lambda: reporter._thread is not None and not reporter._thread.is_alive())
    assert 1 == calls(reporter)


def test_the_interpreters_end_waits_for_all_pools_together(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(module, "_every", [Reporter(Counting(Limits())) for _ in range(20)])
    monkeypatch.setattr(Reporter, "finish", lambda _, patience: waited.append(patience))
    now = iter(range(100))
    monkeypatch.setattr(module, "monotonic", lambda: next(now) / 10)
    module._at_exit()
    assert 20 == len(waited)
    assert 2.0 > sum(waited)


def test_a_fork_forgets_what_is_the_parents() -> None:
    counting = Counting(Limits())
    reporter = Reporter(counting, "/nowhere", interval=0.2)
    counted(counting)
    reporter.collect()
    counted(counting)
    reporter.forked()
    reporter.collect()
    assert 0 == calls(reporter)
    assert not reporter._unsent
    reporter.close()


def test_the_daemons_settings_hold_but_where_the_application_has_its_own() -> None:
    daemon = Welcome(VERSION, slow=5.0, parameters=True, n_plus_one=3)
    free = Reporter(Counting(Limits()))
    free._welcomed(daemon)
    assert Limits(slow_us=5000.0, parameters=True, many=3) == free.counting.limits
    own = Reporter(Counting(Limits()), own=frozenset({"slow_us", "parameters", "many"}))
    own._welcomed(daemon)
    assert Limits() == own.counting.limits
