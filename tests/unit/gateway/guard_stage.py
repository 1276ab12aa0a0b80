"""A stage with a guard and a lane: its questions wait until they are answered, or expire."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from dbopt.gateway.backend import Backend
from dbopt.gateway.guards import Guard
from dbopt.gateway.lane import Lane
from dbopt.gateway.multiplexer import Pool
from dbopt.gateway.relay import Relay
from dbopt.settings import Settings
from dbopt.verdict import Question, Verdict
from dbopt.wire.types import IDLE
from tests.unit.gateway.stage import Stage, wire_of


class Landing:
    """A cancel under way, as the task that Pool.cancel gives."""

    def __init__(self) -> None:
        self._calls: list[Callable[[Any], None]] = []

    def add_done_callback(self, call: Callable[[Any], None]) -> None:
        self._calls.append(call)

    def land(self) -> None:
        calls, self._calls = self._calls, []
        for call in calls:
            call(self)


class GuardStage(Stage):
    """Its guard enforces. An event loop must run."""

    def __init__(self, backends: int = 1, limit: int = 1, **guard: Any) -> None:
        super().__init__(backends)
        self.lane: Lane[Relay] = Lane(limit)
        self.name = "shop/ann"
        self.queue_refusals = 0
        self._filling = False
        self.questions: dict[int, Question] = {}
        self.landings: list[Landing] = []
        self.now = 1000.0
        base = Settings()
        section = replace(base.guard, **{"mode": "enforce", "verdict_timeout": 600.0, **guard})
        self.guard = Guard(
            replace(base, guard=section), self._send, lambda: self.now, lambda: self.now
        )
        self.gate.counts.watch_with(self.guard.watch)

    def _send(self, number: int, question: Question) -> bool:
        self.questions[number] = question
        return True

    def answer(self, verdict: Verdict | Callable[[str], Verdict], number: int = 0) -> None:
        """One question, the first if none is named."""
        number = number or next(iter(self.questions))
        question = self.questions.pop(number)
        found = verdict if isinstance(verdict, Verdict) else verdict(question.text)
        self.guard.answered(number, found)

    def expire(self, number: int) -> None:
        """No answer comes in time."""
        self.questions.pop(number)
        self.guard._expired(number)

    # multiplexer.Pool

    def cancel(self, backend: Backend) -> Any:
        super().cancel(backend)
        self.landings.append(Landing())
        return self.landings[-1]

    def forsake(self, relay: Relay) -> None:
        if not self.lane.forsake(relay):
            super().forsake(relay)

    def leave_lane(self) -> None:
        self.lane.leave()
        self.fill_lane()

    def fill_lane(self) -> None:
        Pool._fill_lane(cast(Pool, self))

    def _fill_lane(self) -> None:
        self.fill_lane()

    def _safely(self, call: Callable[..., None], *given: Any) -> bool:
        call(*given)
        return True

    def release(self, backend: Backend, now: float) -> None:
        if backend.status == IDLE:
            super().release(backend, now)
        else:
            self.discard(backend)  # the real one has its transaction rolled back

    def discard(self, backend: Backend, *, cancel_first: bool = False) -> None:
        """Another takes its place."""
        super().discard(backend, cancel_first=cancel_first)
        wire_of(backend).server.out.clear()
        self.backends.remove(backend)
        self.backends.append(self._backend(100))
        self.release(self.backends[-1], self.now)
