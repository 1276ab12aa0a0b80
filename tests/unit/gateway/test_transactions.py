"""Transactions: how long blocks take and idle, and what repeats in them."""

from __future__ import annotations

import pytest

from dbopt.gateway import transactions
from dbopt.gateway.counts import Counts
from dbopt.gateway.scopes import Count
from dbopt.gateway.transactions import Transaction


def counting(least: int = 3) -> Counts:
    return Counts(1e9, False, 1000, 10, n_plus_one=least)


def count_of(counts: Counts, sql: str = "select a") -> Count:
    return counts.scope("shop", "ann", "web").count(sql.encode())


def test_a_block() -> None:
    counts = counting()
    begin = count_of(counts, "begin")
    block = Transaction(begin.scope, 10.0)
    block.ran_alone(count_of(counts), 10.5, 10.75)
    block.ran_alone(count_of(counts, "select b"), 11.75, 12.0)
    block.went_on(12.25)
    block.went_on(13.0)  # more of the same request
    block.over(14.0, failed=False)
    Transaction(begin.scope, 1.0).over(1.5, failed=True)
    (seen,) = counts.take().transactions
    assert ("shop", "ann", "web", "") == (
        seen.database, seen.user, seen.application, seen.route,
    )  # fmt: skip
    assert (2, 1, 2) == (seen.count, seen.failed, seen.statements)
    assert (4.5e6, 4e6) == (seen.total_us, seen.max_us)
    assert (0.5e6 + 1e6 + 0.25e6 + 0.5e6, 1e6) == (seen.idle_us, seen.max_idle_us)
    assert 2 == sum(seen.buckets.values())
    assert [] == counts.take().transactions


@pytest.mark.parametrize(
    ("begin", "statements", "route"),
    [
        ("begin", ["select a", "select a /*route='b'*/", "select a /*route='c'*/"], "b"),
        ("begin /*route='a'*/", ["select a /*route='b'*/"], "a"),
        ("begin", ["select a"], ""),
    ],
)
def test_the_route_is_the_first(begin: str, statements: list[str], route: str) -> None:
    counts = counting()
    block = Transaction(count_of(counts, begin).scope, 1.0)
    for sql in statements:
        block.ran(count_of(counts, sql))
    block.over(2.0, failed=False)
    assert [route] == [seen.route for seen in counts.take().transactions]


def run(counts: Counts, *statements: str) -> None:
    block = Transaction(counts.scope("shop", "ann", "web"), 1.0)
    for sql in statements:
        block.ran(count_of(counts, sql))
    block.over(2.0, failed=False)


def test_what_repeats() -> None:
    counts = counting(least=3)
    run(counts, *["select a"] * 3, *["select b /*route='r'*/"] * 4, *["select c"] * 2)
    run(counts, *["select a"] * 5, "select c")
    found = counts.take().repeated
    assert {("", 2, 8, 5), ("r", 1, 4, 4)} == {
        (seen.route, seen.transactions, seen.calls, seen.most) for seen in found
    }
    assert count_of(counts).fingerprint in {seen.fingerprint for seen in found}
    assert [] == counts.take().repeated


def test_nothing_repeats_where_nobody_asks() -> None:
    counts = counting(least=0)
    run(counts, *["select a"] * 100)
    assert [] == counts.take().repeated


def test_of_the_statements_that_are_not_told_apart_none_repeats() -> None:
    counts = Counts(1e9, False, 0, 10, n_plus_one=2)
    run(counts, "select a", "select b", "select c")
    assert [] == counts.take().repeated


def test_a_long_transaction_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "_MAX_LISTED", 10)
    monkeypatch.setattr(transactions, "_MAX_DISTINCT", 2)
    counts = counting(least=20)
    run(counts, *["select a", "select b", "select a", "select c"] * 25)
    taken = counts.take()
    assert [100] == [seen.statements for seen in taken.transactions]
    assert 50 in [seen.calls for seen in taken.repeated]


def test_reports_of_what_repeats_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "_MAX_REPEATED", 2)
    counts = counting(least=1)
    run(counts, "select a", "select b", "select c", "select a")
    assert 2 == len(counts.take().repeated)
