from __future__ import annotations

from dbopt.inprocess.counting import Counting, Limits, Origin
from dbopt.inprocess.transaction import Transaction


def test_times_statements_and_the_route_that_came_later() -> None:
    counting = Counting(Limits())
    scope, routed = (counting.scope(Origin("d", "u", "a", route)) for route in ("", "r"))
    one, other = counting.learn(scope, 1, "a"), counting.learn(routed, 2, "b")
    transaction = Transaction(scope, 10.0, 10.5)
    transaction.waited(11.0, 11.5)
    transaction.waited(14.5, 15.0)
    for count, alone in ((one, True), (one, True), (other, True), (other, False)):
        transaction.ran(count, alone)
    transaction.end(counting, 15.0, failed=True)
    (ended,) = counting.ended
    assert (5e6, 3.5e6, 3e6) == (ended.total_us, ended.idle_us, ended.max_idle_us)
    assert (True, 4, {one: 2, other: 1}) == (ended.failed, ended.statements, ended.counts)
    assert routed is ended.scope


def test_its_texts_are_bounded() -> None:
    counting = Counting(Limits())
    scope = counting.scope(Origin("d", "u", "a"))
    transaction = Transaction(scope, 0.0, 0.0)
    for number in range(1100):
        transaction.ran(counting.learn(scope, number, str(number)), alone=True)
    assert (1100, 1000) == (transaction.statements, len(transaction.counts))
