from __future__ import annotations

import logging

import pytest

from dbopt.inprocess import counting as module
from dbopt.inprocess.counting import OTHER, Counting, Limits, Origin, Slow, taken

ORIGIN = Origin("d", "u", "a")


def made() -> Counting:
    return Counting(Limits())


def test_adding_up() -> None:
    counting = made()
    count = counting.learn(counting.scope(ORIGIN), "key", "SELECT 1")
    counting.add((count, 100.0, 2, 10.0, 5.0, ""))
    counting.add((count, 300.0, 0, 0.0, 0.0, "42P01"))
    assert [count] == counting.drain()
    assert (2, 2, 400.0, 300.0) == (count.calls, count.rows, count.total_us, count.max_us)
    assert (10.0, 5.0, {"42P01": 1}) == (count.queue_us, count.transfer_us, count.errors)
    assert 2 == sum(count.buckets.values())


def test_it_wakes_once_an_interval_and_when_there_is_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_MANY", 3)
    counting, heard = made(), []
    counting.woken, counting.full = lambda: heard.append("woken"), lambda: heard.append("full")
    count = counting.learn(counting.scope(ORIGIN), "key", "SELECT 1")
    for _ in range(3):
        counting.add((count, 1.0, 0, 0.0, 0.0, ""))
    assert ["woken", "full"] == heard
    counting.drain()
    counting.add((count, 1.0, 0, 0.0, 0.0, ""))
    assert ["woken", "full", "woken"] == heard


def test_without_a_reporter_what_waits_is_bounded_and_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_MANY", 3)
    counting = made()
    count = counting.learn(counting.scope(ORIGIN), "key", "SELECT 1")
    for _ in range(1000):
        counting.add((count, 1.0, 1, 0.0, 0.0, ""))
        assert len(counting.samples) <= 30
    # What was added up early is told by the next drain, too.
    assert [count] == counting.drain()
    assert (1000, 1000) == (count.calls, count.rows)


def test_texts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_TEXTS", 4)
    counting = made()
    scope = counting.scope(ORIGIN)
    counts = [counting.learn(scope, n, f"SELECT {n}") for n in range(6)]
    assert counts[4] is counts[5] is scope.other
    assert counts[0] is counting.learn(scope, 0, "SELECT 0") or counting.texts == 4
    counting.forget([counts[3]])
    assert {3: counts[3]} == scope.by_key
    assert counting.learn(scope, 9, "SELECT 9") is not scope.other


def test_long_texts_are_no_keys_and_are_cut() -> None:
    counting = made()
    scope = counting.scope(ORIGIN)
    count = counting.learn(scope, "key", "x" * 100_000)
    assert 65_536 == len(count.text)
    assert {} == scope.by_key


def test_origins_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_SCOPES", 3)
    counting = made()
    scopes = [counting.scope(Origin("d", "u", "a", f"/{n}")) for n in range(6)]
    assert scopes[3] is scopes[4] is scopes[5]
    assert Origin("d", "u", OTHER, OTHER) == scopes[3].origin


def test_of_slow_statements_the_oldest_are_lost_and_counted() -> None:
    counting = Counting(Limits(max_slow=2))
    count = counting.learn(counting.scope(ORIGIN), "key", "SELECT 1")
    for number in range(5):
        counting.note_slow(Slow(count, "", "", 0.0, float(number), 0.0, 0.0, 0, "", 1))
    assert [3.0, 4.0] == [one.duration_us for one in taken(counting.slow)]
    assert 3 == counting.lost


def test_a_fault_is_said_once_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    counting = made()
    with caplog.at_level(logging.WARNING, "dbopt.inprocess"):
        for _ in range(3):
            counting.fault(ValueError("secret"))
    assert 3 == counting.faults
    assert ["an operation could not be observed: ValueError"] == caplog.messages


def test_a_reset_forgets_all_and_has_another_lock() -> None:
    counting = made()
    lock = counting.lock
    count = counting.learn(counting.scope(ORIGIN), "key", "SELECT 1")
    counting.add((count, 1.0, 0, 0.0, 0.0, ""))
    counting.reset()
    assert [] == counting.drain()
    assert counting.lock is not lock
