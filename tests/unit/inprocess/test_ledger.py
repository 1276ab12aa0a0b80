from __future__ import annotations

from dbopt.inprocess.ledger import Ledger
from dbopt.inprocess.messages import Report
from dbopt.observation import Repeated, SlowStatement, StatementCount, TransactionCount


def count(number: int, text: str = "SELECT $1", **other: object) -> StatementCount:
    given = {"calls": 1, "rows": 2, "errors": {"42P01": 1}, "queue_us": 1.0, "total_us": 5.0}
    return StatementCount(
        number, text, "d", "u", "a", **{**given, "max_us": 5.0, "buckets": {81: 1}, **other}
    )  # type: ignore[arg-type]


def slow(text: str = "") -> SlowStatement:
    return SlowStatement(1, text, "", "d", "u", "a", 0.0, 1.0, 0.0, 1.0, 0, "", 1)


TRANSACTIONS = TransactionCount("d", "u", "a", "", 1, 0, 3, 5.0, 5.0, 1.0, 1.0, {81: 1})
REPEATED = Repeated(1, "d", "u", "a", "", 1, 12, 12)


def test_sums() -> None:
    ledger = Ledger()
    assert not ledger
    report = Report([count(1)], [slow()], [TRANSACTIONS], [REPEATED], lost=1)
    ledger.add(report)
    ledger.add(report)
    (both,) = ledger.counts.values()
    assert (2, 4, {"42P01": 2}, {81: 2}) == (both.calls, both.rows, both.errors, both.buckets)
    assert (10.0, 5.0) == (both.total_us, both.max_us)
    (transactions,) = ledger.transactions.values()
    assert (2, 6, 2.0) == (transactions.count, transactions.statements, transactions.idle_us)
    (repeated,) = ledger.repeated.values()
    assert (2, 24, 12) == (repeated.transactions, repeated.calls, repeated.most)
    assert (2, 2) == (len(ledger.slow), ledger.lost)
    assert ledger


def test_rows_are_bounded_and_totals_exact() -> None:
    ledger = Ledger(capacity=3, max_slow=2)
    ledger.add(Report([count(n) for n in range(1, 11)], [slow()] * 5))
    assert {1: 1, 2: 1, 3: 1, 0: 7} == {c.fingerprint: c.calls for c in ledger.counts.values()}
    assert "(other)" == next(c.text for c in ledger.counts.values() if not c.fingerprint)
    assert (2, 3) == (len(ledger.slow), ledger.lost)


def test_pieces_are_small_and_make_the_same_ledger() -> None:
    ledger, again = Ledger(), Ledger()
    ledger.add(
        Report(
            [count(n, "x" * 16_000) for n in range(1, 200)],
            [slow("y" * 16_000) for _ in range(200)],
            [TRANSACTIONS],
            [REPEATED],
        )
    )
    pieces = list(ledger.pieces())
    assert len(pieces) > 8
    for piece in pieces:
        assert sum(len(c.text) for c in piece.counts) < 600_000
        assert sum(len(s.text) for s in piece.slow) < 600_000
        again.add(piece)
    assert ledger.counts == again.counts
    assert ledger.slow == again.slow
    assert (ledger.transactions, ledger.repeated) == (again.transactions, again.repeated)
