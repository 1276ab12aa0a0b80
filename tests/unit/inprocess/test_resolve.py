from __future__ import annotations

from dbopt.inprocess.checking import check
from dbopt.inprocess.counting import Count, Counting, Ended, Limits, Origin, Scope, Slow
from dbopt.inprocess.resolve import take
from dbopt.sql.fingerprint import fingerprint

ORIGIN = Origin("d", "u", "a", "")
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def counted(counting: Counting, scope: Scope, *texts: str) -> list[Count]:
    counts = [counting.learn(scope, text, text) for text in texts]
    for count in counts:
        counting.add((count, 50.0, 1, 0.0, 0.0, ""))
    return counts


def test_texts_that_differ_in_literals_are_one_statement() -> None:
    counting = Counting(Limits())
    counted(counting, counting.scope(ORIGIN), "SELECT 1", "SELECT 2", "SELECT 'x'")
    report = take(counting)
    (one,) = report.counts
    assert (fingerprint("SELECT 1"), "SELECT $1", 3) == (one.fingerprint, one.text, one.calls)
    check(report)
    assert [] == take(counting).counts


def test_routes_of_contexts_and_of_tags() -> None:
    counting = Counting(Limits())
    counted(counting, counting.scope(ORIGIN), "SELECT 1 /*route='a'*/", "SELECT 1")
    counted(counting, counting.scope(Origin("d", "u", "a", "b")), "SELECT 1 /*route='a'*/")
    assert ["", "a", "b"] == sorted(count.route for count in take(counting).counts)


def test_an_event() -> None:
    counting = Counting(Limits(parameters=False))
    sql = f"SELECT 'x' /*route='r',traceparent='{PARENT}',secret='s'*/"
    (count,) = counted(counting, counting.scope(ORIGIN), sql)
    counting.note_slow(Slow(count, sql, "", 7.0, 3000.0, 500.0, 500.0, 4, "57014", 9))
    report = take(counting)
    (event,) = report.slow
    assert ("SELECT $1", sql, "r", PARENT) == (
        event.text, event.sql, event.route, event.traceparent,
    )  # fmt: skip
    assert (3.0, 0.5, 2.0, 0.5) == (
        event.duration_ms, event.queue_ms, event.server_ms, event.transfer_ms,
    )  # fmt: skip
    assert {"route", "traceparent"} == set(event.tags)
    check(report)


def test_parameters_only_where_they_are_allowed() -> None:
    counting = Counting(Limits(parameters=True))
    (count,) = counted(counting, counting.scope(ORIGIN), "SELECT 'x', $1")
    counting.note_slow(Slow(count, "SELECT 'x', $1", "[1]", 0.0, 1.0, 0.0, 0.0, 0, "", 1))
    assert "SELECT 'x', $1\n-- parameters: [1]" == take(counting).slow[0].text


def test_what_there_was_no_room_for_is_other() -> None:
    counting = Counting(Limits())
    scope = counting.scope(ORIGIN)
    counting.add((scope.other, 5.0, 0, 0.0, 0.0, ""))
    (one,) = take(counting).counts
    assert (0, "(other)") == (one.fingerprint, one.text)


def test_transactions_and_repetitions() -> None:
    counting = Counting(Limits(many=5))
    scope = counting.scope(ORIGIN)
    counts = counted(counting, scope, *(f"SELECT a FROM t WHERE b = {n}" for n in range(4)))
    few = counted(counting, scope, "SELECT 'once'")
    for factor in (1, 2):
        each = dict.fromkeys(counts, factor) | {few[0]: 1}
        counting.end(Ended(scope, 100.0, 10.0, 7.0, factor == 2, 4 * factor + 1, each))
    report = take(counting)
    (transactions,) = report.transactions
    assert (2, 1, 14, 200.0, 100.0, 20.0, 7.0) == (
        transactions.count, transactions.failed, transactions.statements, transactions.total_us,
        transactions.max_us, transactions.idle_us, transactions.max_idle_us,
    )  # fmt: skip
    (repeated,) = report.repeated
    assert (1, 8, 8) == (repeated.transactions, repeated.calls, repeated.most)
    check(report)


def test_n_plus_one_may_be_off() -> None:
    counting = Counting(Limits(many=0))
    scope = counting.scope(ORIGIN)
    (count,) = counted(counting, scope, "SELECT 1")
    counting.end(Ended(scope, 1.0, 0.0, 0.0, False, 99, {count: 99}))
    assert [] == take(counting).repeated
