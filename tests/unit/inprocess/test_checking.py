from __future__ import annotations

from collections.abc import Callable
from math import inf, nan

import pytest
from msgspec.structs import replace

from dbopt.errors import ProtocolError
from dbopt.inprocess.checking import MAX_ROWS, check
from dbopt.inprocess.messages import Report
from dbopt.observation import Repeated, SlowStatement, StatementCount, TransactionCount

COUNT = StatementCount(
    1, "SELECT $1", "d", "u", "a", 2, 2, {"42P01": 1}, 0.0, 9.0, 5.0, {81: 1, 70: 1}
)
SLOW = SlowStatement(1, "t", "t", "d", "u", "a", 1.0, 9.0, 0.0, 9.0, 1, "42P01", 1)
TRANSACTIONS = TransactionCount("d", "u", "a", "", 1, 0, 3, 5.0, 5.0, 1.0, 1.0, {81: 1})
REPEATED = Repeated(1, "d", "u", "a", "", 1, 12, 12)
FULL = Report([COUNT], [SLOW], [TRANSACTIONS], [REPEATED])


def test_what_a_pool_says_is_taken() -> None:
    check(Report())
    check(FULL)


@pytest.mark.parametrize(
    "changes",
    [
        {"calls": 0}, {"calls": 3}, {"calls": -2}, {"rows": -1}, {"fingerprint": -1},
        {"fingerprint": 1 << 64}, {"total_us": nan}, {"total_us": inf}, {"max_us": -1.0},
        {"buckets": {-1: 2}}, {"buckets": {10**9: 2}}, {"buckets": {1: 3, 2: -1}},
        {"errors": {"no": 1}}, {"errors": {"42P01": 3}}, {"errors": {"42P01": 0}},
        {"rows": 1 << 51}, {"total_us": 1e300},
        {"calls": 1 << 52, "buckets": {1: 1 << 52}},
        {"text": "x" * 16_385}, {"application": "x" * 1001}, {"route": "x" * 1001},
    ],
)  # fmt: skip
def test_a_count_that_cannot_be_true(changes: dict[str, object]) -> None:
    refused(replace(FULL, counts=[COUNT, replace(COUNT, **changes)]))


@pytest.mark.parametrize(
    "changes",
    [
        {"duration_ms": nan}, {"queue_ms": -1.0}, {"rows": -1}, {"sqlstate": "x"},
        {"tags": {str(n): "" for n in range(33)}}, {"sql": "x" * 16_385}, {"started": inf},
        {"started": 1e300}, {"started": -1.0}, {"backend_pid": 1 << 31}, {"rows": 1 << 60},
        {"sent": -1}, {"tags": {"route": "x" * 1001}},
    ],
)  # fmt: skip
def test_an_event_that_cannot_be_true(changes: dict[str, object]) -> None:
    refused(replace(FULL, slow=[replace(SLOW, **changes)]))


@pytest.mark.parametrize("changes", [{"failed": 2}, {"count": 0}, {"idle_us": nan}])
def test_transactions_that_cannot_be_true(changes: dict[str, object]) -> None:
    refused(replace(FULL, transactions=[replace(TRANSACTIONS, **changes)]))


@pytest.mark.parametrize("changes", [{"most": 13}, {"transactions": 0}, {"fingerprint": -1}])
def test_a_repetition_that_cannot_be_true(changes: dict[str, object]) -> None:
    refused(replace(FULL, repeated=[replace(REPEATED, **changes)]))


def test_a_report_of_too_many_rows() -> None:
    refused(Report(transactions=[TRANSACTIONS] * (MAX_ROWS + 1)))


def refused(report: Report, how: Callable[[Report], None] = check) -> None:
    with pytest.raises(ProtocolError, match="cannot be true"):
        how(report)
