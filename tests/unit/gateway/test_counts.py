"""Counts: what a worker keeps of the statements that pass, and how it stays bounded."""

from __future__ import annotations

import pytest

from dbopt.gateway import counts as module
from dbopt.gateway import scopes
from dbopt.gateway.comments import OTHER
from dbopt.gateway.counts import Counts, readable
from dbopt.gateway.link import MAX_FRAME, Observed, frame
from dbopt.gateway.noted import Run
from dbopt.gateway.scopes import Scope
from dbopt.gateway.worker import _PORTION
from dbopt.observation import WorkerSnapshot


def counting(capacity: int = 100, slow: int = 3, parameters: bool = False) -> Counts:
    return Counts(1.0, parameters, capacity, slow, clock=lambda: 1000.0)


def add(scope: Scope, sql: str, calls: int = 1, sqlstate: str = "") -> None:
    for _ in range(calls):
        count = scope.count(sql.encode())
        count.add(100.0, 2)
        count.queue_us += 1.0
        if sqlstate:
            count.failed(sqlstate)


def run(took: float = 5000.0, rows: int = 0) -> Run:
    return Run(took, 0.0, 0.0, rows, "", 1, 0, 0)


def texts(counts: Counts) -> list[tuple[str, int]]:
    return [(count.text, count.calls) for count in counts.take()[0]]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("ann", "ann"), ("zoë", "zoë"), ("a\udcff", "a\N{REPLACEMENT CHARACTER}")],
)
def test_readable(name: str, expected: str) -> None:
    assert expected == readable(name)


def test_statements_that_differ_in_literals_are_one() -> None:
    counts = counting()
    scope = counts.scope("shop", "ann", "web")
    add(scope, "SELECT 1")
    add(scope, "SELECT 2", calls=2, sqlstate="22012")
    taken = counts.take()
    (count,), slow = taken.counts, taken.slow
    assert [] == slow
    assert (3, 6, {"22012": 2}) == (count.calls, count.rows, count.errors)
    assert (3.0, 300.0, 100.0) == (count.queue_us, count.total_us, count.max_us)
    assert 3 == sum(count.buckets.values())
    assert "SELECT $1" == count.text
    assert ("shop", "ann", "web") == (count.database, count.user, count.application)


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("SELECT 1", "SELECT 23456", True),
        ("SELECT a FROM t WHERE b = 1 AND c=-7", "SELECT a FROM t WHERE b = 99 AND c=-0", True),
        ("SELECT * FROM t LIMIT 1", "SELECT * FROM t LIMIT 2", True),
        ("SELECT a1 FROM t", "SELECT a2 FROM t", False),
        ("SELECT a1, 1 FROM t", "SELECT a2, 1 FROM t", False),
        ('SELECT "a 1" FROM t', 'SELECT "a 2" FROM t', False),
        ("SELECT 1a FROM t", "SELECT 1b FROM t", False),
        ("SELECT 1.5", "SELECT 2.5", True),
        ("SELECT 1 2", "SELECT 12", False),
    ],
)
def test_a_shape_stands_for_one_fingerprint(first: str, second: str, same: bool) -> None:
    scope = counting().scope("shop", "ann", "web")
    counts = [scope.count(text.encode()) for text in (first, second, first, second)]
    assert same == (counts[0] is counts[1])
    assert counts[:2] == counts[2:]


def test_what_was_forgotten_in_flight_is_counted() -> None:
    counts = counting(capacity=1)
    running = counts.scope("shop", "ann", "web").count(b"SELECT a")
    assert ([], [], [], [], []) == counts.take()
    running.add(5.0, 1)
    assert [("SELECT a", 1)] == texts(counts)


def test_a_text_is_told_once_and_what_was_taken_is_not_told_again() -> None:
    counts = counting()
    scope = counts.scope("shop", "ann", "web")
    add(scope, "SELECT a")
    assert [("SELECT a", 1)] == texts(counts)
    assert [] == texts(counts)
    add(scope, "SELECT a", calls=2)
    assert [("", 2)] == texts(counts)


def test_beyond_the_capacity_all_is_one_and_totals_stay_exact() -> None:
    counts = counting(capacity=3)
    scope = counts.scope("shop", "ann", "web")
    for column in "abcdef":
        add(scope, f"SELECT {column}")
    assert [("SELECT a", 1), ("SELECT b", 1), ("SELECT c", 1), (OTHER, 3)] == texts(counts)


def test_a_full_worker_forgets_what_is_not_seen() -> None:
    counts = counting(capacity=2)
    scope = counts.scope("shop", "ann", "web")
    add(scope, "SELECT a")
    add(scope, "SELECT b")
    counts.take()
    add(scope, "SELECT b")
    assert [("", 1)] == texts(counts)  # and now `a` is forgotten
    add(scope, "SELECT c")
    assert [("SELECT c", 1)] == texts(counts)
    add(scope, "SELECT a")
    assert [("SELECT a", 1)] == texts(counts)


def test_long_texts_are_cut_and_not_kept_as_keys() -> None:
    counts = counting()
    scope = counts.scope("shop", "ann", "web")
    add(scope, "SELECT " + ",".join(f"column{i}" for i in range(20_000)))
    assert {} == scope.by_text
    assert [16_384] == [len(text) for text, _ in texts(counts)]


def test_texts_and_scopes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scopes, "_MAX_TEXTS", 4)
    monkeypatch.setattr(scopes, "_MAX_SHAPES", 4)
    monkeypatch.setattr(module, "_MAX_SCOPES", 2)
    counts = counting()
    scope = counts.scope("shop", "ann", "web")
    for number in range(10):
        name = "abcdefghij"[number]
        add(scope, f"SELECT {name}")
        add(scope, f"SELECT {name}, 1")
    assert 2 == len(scope.by_text)
    assert 2 == len(scope.by_shape)
    assert counts.scope("shop", "ann", "web") is scope
    counts.scope("shop", "ann", "b")
    third, fourth = counts.scope("shop", "ann", "c"), counts.scope("shop", "ann", "d")
    assert third is fourth
    assert OTHER == third.application


@pytest.mark.parametrize(("parameters", "shown"), [(False, "SELECT $1"), (True, "SELECT 'x'")])
def test_a_slow_statement(parameters: bool, shown: str) -> None:
    counts = counting(parameters=parameters)
    scope = counts.scope("shop", "ann", "web")
    text = b"SELECT 'x'"
    counts.note(scope.count(text), text, Run(3500.0, 1000.0, 500.0, 5, "", 77, 30, 40))
    ((slow,), rest) = counts.take()[1], counts.take()[1]
    assert [] == rest
    assert (shown, "SELECT 'x'", 5, 77) == (slow.text, slow.sql, slow.rows, slow.backend_pid)
    assert (3.5, 1.0, 2.0) == (slow.duration_ms, slow.queue_ms, slow.server_ms)
    assert (0.5, 30, 40) == (slow.transfer_ms, slow.received, slow.sent)
    assert 1000.0 - 0.0035 == slow.started


def test_of_too_many_slow_statements_the_oldest_are_lost() -> None:
    counts = counting(slow=3)
    scope = counts.scope("shop", "ann", "web")
    for number in range(5):
        counts.note(scope.count(b"SELECT 1"), b"SELECT 1", run(rows=number))
    assert [2, 3, 4] == [slow.rows for slow in counts.take()[1]]


def test_a_report_of_the_longest_texts_fits_into_a_frame() -> None:
    counts = counting(capacity=1000, slow=_PORTION, parameters=True)
    scope = counts.scope("shop", "ann", "web")
    for number in range(_PORTION):
        text = (f"SELECT c{number}, " + "\N{GRINNING FACE}" * 20_000).encode()
        found = scope.count(text)
        found.add(0.0, 0)
        counts.note(found, text[: 4 * 4096], run())
    taken = counts.take()
    assert _PORTION == len(taken.counts) == len(taken.slow)
    snapshot = WorkerSnapshot(1, 0, False, [], 0, 0)
    assert len(frame(Observed(taken.counts, taken.slow, snapshot))) < MAX_FRAME
