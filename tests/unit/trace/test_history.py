from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dbopt.sql.analyze import Analyzer
from dbopt.sql.fingerprint import fingerprint
from dbopt.store.batch import Batch, decode, encode
from dbopt.store.frame import Frame, Target
from dbopt.trace.history import TraceHistory
from dbopt.trace.recorder import Recorder
from dbopt.trace.transactions import Transactions
from dbopt.trace.workers import Workers
from tests.unit.trace.observations import count, pool, repeated, transactions, worker

START = datetime(2026, 1, 2, 23, 50, tzinfo=UTC)
SERVER = "db1:5432"


class Traced:
    def __init__(self, most: int = 100) -> None:
        self.recorder = Recorder(most, Analyzer())
        self.transactions = Transactions(lambda number: "")
        self.workers = Workers(lambda: 0)
        self.history = TraceHistory(self.recorder, self.transactions, self.workers, START)
        self.at = START

    def minute(self) -> Batch:
        self.at += timedelta(minutes=1)
        return self.history.batch(SERVER, self.at)


def only(batch: Batch, view: str) -> Frame:
    (frame,) = (frame for frame in batch.frames if frame.view == view)
    return frame


def rows(frame: Frame) -> dict[Any, dict[str, int | None]]:
    return {k: dict(zip(frame.columns, v, strict=True)) for k, v in frame.changed.items()}


def test_statements_of_a_minute_are_a_frame() -> None:
    traced = Traced()
    traced.recorder.add([
        count("SELECT a", (1000.0, 3000.0), queue_us=500.0, transfer_us=200.0, received=10,
              sent=20, rows=4, errors={"40001": 1}, route="/cart"),
    ])  # fmt: skip
    frame = only(traced.minute(), "traced")
    assert (Target(SERVER), START + timedelta(minutes=1), 60.0, {}) == (
        frame.target, frame.at, frame.seconds, frame.base,
    )  # fmt: skip
    ((key, row),) = rows(frame).items()
    assert (fingerprint("SELECT a"), "app", "alice", "web", "/cart") == key
    assert {
        "calls": 2, "rows": 4, "errors": 1, "total_us": 4000, "queue_us": 500, "transfer_us": 200,
        "received_bytes": 10, "sent_bytes": 20, "p50_us": row["p50_us"], "p95_us": 3000,
        "p99_us": 3000, "max_us": 3000,
    } == row  # fmt: skip
    assert 990 <= (row["p50_us"] or 0) <= 1010
    assert () == traced.minute().frames


def test_transactions_repetitions_and_pools() -> None:
    traced = Traced()
    traced.transactions.add(
        [transactions((2000.0,), idle_us=700.0, max_idle_us=600.0, failed=1)], [repeated()]
    )
    busy = pool(cl_waiting=2, sv_active=1, xact_count=10, query_count=30, wait_time_us=5e3,
                maxwait=0.25)  # fmt: skip
    traced.workers.observed(1, worker(1, busy))
    batch = traced.minute()
    assert [{
        "transactions": 1, "failed": 1, "statements": 2, "total_us": 2000, "idle_us": 700,
        "p50_us": 1987, "p95_us": 1987, "p99_us": 1987, "max_us": 2000, "max_idle_us": 600,
    }] == list(rows(only(batch, "transactions")).values())  # fmt: skip
    assert {(7, "app", "alice", "web", "/cart"): {"transactions": 2, "calls": 30, "most": 18}} == (
        rows(only(batch, "repeated"))
    )
    assert {("app", "alice"): {
        "xact": 10, "query": 30, "wait_us": 5000, "cl_active": 0, "cl_waiting": 2, "sv_active": 1,
        "sv_idle": 0, "maxwait_us": 250_000,
    }} == rows(only(batch, "pools"))  # fmt: skip
    traced.workers.observed(1, worker(1, pool(xact_count=11, query_count=30, wait_time_us=5e3)))
    later = rows(only(traced.minute(), "pools"))[("app", "alice")]
    assert (1, 0, 0) == (later["xact"], later["query"], later["wait_us"])


def test_texts_are_given_once_a_day() -> None:
    traced = Traced()
    wanted = {fingerprint("SELECT a"): "SELECT a"}
    seen = []
    for _ in range(12):
        traced.recorder.add([count("SELECT a")])
        seen.append(dict(traced.minute().texts))
    assert [wanted, *[{}] * 8, wanted, {}, {}] == seen


def test_the_store_can_hold_what_any_client_sends() -> None:
    traced = Traced()
    traced.recorder.add([count(fingerprint=2**64 - 1, user="\x00", route="ü" * 5000)])
    batch = traced.minute()
    assert batch.frames[0].changed.keys() == decode(encode(batch)).frames[0].changed.keys()


@given(
    most=st.integers(1, 10),
    minutes=st.lists(
        st.lists(st.tuples(st.integers(1, 30), st.integers(1, 10**6)), max_size=30), max_size=5
    ),
)
def test_all_frames_together_are_all_that_was_counted(
    most: int, minutes: list[list[tuple[int, int]]]
) -> None:
    traced = Traced(most)
    got = [0, 0]
    for calls in minutes:
        for number, time in calls:
            traced.recorder.add([count(fingerprint=number, times_us=(float(time),))])
        for frame in traced.minute().frames:
            for row in rows(frame).values():
                got[0] += row["calls"] or 0
                got[1] += row["total_us"] or 0
    every = [time for calls in minutes for _, time in calls]
    assert [len(every), sum(every)] == got
    assert len(every) == traced.recorder.totals().histogram.count


def test_what_no_bigint_holds_does_not_cost_the_batch() -> None:
    traced = Traced()
    traced.recorder.add([count("SELECT a", (1e300,), rows=1 << 70)])
    ((_, row),) = rows(only(traced.minute(), "traced")).items()
    assert (1 << 62, 1 << 62) == (row["rows"], row["total_us"])
