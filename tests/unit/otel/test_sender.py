from __future__ import annotations

from collections.abc import Sequence

from dbopt.observation import SlowStatement
from dbopt.otel.sender import BATCH, Sender
from tests.unit.trace.observations import FakeClock, slow


class Taker:
    def __init__(self, answers: Sequence[bool | Exception] = ()) -> None:
        self.answers = list(answers)
        self.batches: list[int] = []

    def __call__(self, batch: Sequence[SlowStatement]) -> bool:
        self.batches.append(len(batch))
        answer = self.answers.pop(0) if self.answers else True
        if isinstance(answer, Exception):
            raise answer
        return answer


def sender(taker: Taker, capacity: int = 10_000) -> Sender:
    return Sender(taker, None, 10.0, capacity, clock=FakeClock())


def rounds(of: Sender, count: int) -> None:
    for _ in range(count):
        of._round(False)


def test_what_is_held_goes_in_batches() -> None:
    taker = Taker()
    some = sender(taker)
    some.offer([slow("SELECT 1")] * (BATCH + 3))
    rounds(some, 1)
    assert [BATCH, 3] == taker.batches
    assert (BATCH + 3, 0, 0) == (some.sent, some.held, some.dropped)


def test_what_fails_is_tried_again_in_order() -> None:
    taker = Taker([False, ValueError("a secret"), True])
    some = sender(taker)
    some.offer([slow("SELECT 1")])
    rounds(some, 2)
    assert (0, 1, 2) == (some.sent, some.held, some.failures)
    rounds(some, 1)
    assert (1, 0, 2) == (some.sent, some.held, some.failures)


def test_what_is_refused_for_ever_is_dropped() -> None:
    taker = Taker([False] * 10)
    some = sender(taker)
    some.offer([slow("SELECT 1")] * 2)
    rounds(some, 10)
    assert (0, 0, 2) == (some.sent, some.held, some.dropped)
    some.offer([slow("SELECT 1")])
    rounds(some, 1)
    assert 1 == some.sent


def test_there_is_no_room_beyond_the_capacity() -> None:
    some = sender(Taker(), capacity=3)
    some.offer([slow("SELECT 1")] * 2)
    some.offer([slow("SELECT 1")] * 2)
    assert (3, 1) == (some.held, some.dropped)


def test_metrics_go_when_they_are_due() -> None:
    clock, given = FakeClock(), list[float]()

    def send() -> bool:
        given.append(clock.now)
        return True

    some = Sender(Taker(), send, 10.0, 1, clock=clock)
    some._round(clock() >= some._due)
    clock.now += 10
    some._round(clock() >= some._due)
    some._round(clock() >= some._due)
    assert [1010.0] == given
