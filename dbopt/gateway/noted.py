"""Noted: single statements that a worker keeps for its next report: slow, failed and traced."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from dbopt.clock import Clock
from dbopt.gateway.comments import known_tags, sampled
from dbopt.observation import SlowStatement

if TYPE_CHECKING:
    from dbopt.gateway.scopes import Count

_SHOWN_TEXT: Final = 16_384
_MAX_SPANS: Final = 1000
"""Spans of one report; more are dropped, and counted."""
_MAX_ERRORS: Final = 20
"""Failed statements kept in a second, the slow ones aside; more are counted alone."""
_MAX_ALIKE: Final = 5
"""Of those, of one statement and SQLSTATE: one that fails all the time hides no other."""


class Run(NamedTuple):
    """One execution: `total_us` is all of it, wait and transfer included; sizes are bytes."""

    total_us: float
    queue_us: float
    transfer_us: float
    rows: int
    sqlstate: str
    backend_pid: int
    received: int
    sent: int


class Noted:
    """The slow statements, of which the oldest are lost, the failed, and the traced if asked for.

    `least_us`: a statement that took less, and has not failed, need not be noted; 0.0 while there
    are spans. `dropped` are spans, and `errors_dropped` failed statements, that found no room.
    """

    def __init__(self, slow_ms: float, parameters: bool, max_slow: int, clock: Clock) -> None:
        self.slow: list[SlowStatement] = []
        self.spans: list[SlowStatement] = []
        self._errors: list[SlowStatement] = []
        self._errors_second = 0
        self._failures: Counter[tuple[Count, str]] = Counter()
        self.dropped = self.errors_dropped = 0
        self._max_slow = max_slow
        self._clock = clock
        self.configure(slow_ms, parameters, traced=False)

    def configure(self, slow_ms: float, parameters: bool, *, traced: bool) -> None:
        """From now on; `traced`: spans are asked for."""
        self._slow_us = slow_ms * 1000.0
        self._parameters = parameters
        self._traced = traced
        self.least_us = 0.0 if traced else self._slow_us

    def note(self, count: Count, text: bytes, run: Run) -> None:
        """Keep an execution that is slow, or failed, or that a sampled trace goes through."""
        slow = run.total_us >= self._slow_us
        failed = not slow and run.sqlstate != "" and self._has_room(count, run.sqlstate)
        traced = self._traced and sampled(text)
        if traced and len(self.spans) >= _MAX_SPANS:
            self.dropped += 1
            traced = False
        if not (slow or failed or traced):
            return
        made = self._made(count, text, run)
        if slow:
            self.slow.append(made)
            if len(self.slow) > self._max_slow:
                del self.slow[0]
        elif failed:
            # Without the text as it ran: why it failed so soon is no plan's fault.
            self._errors.append(msgspec.structs.replace(made, sql=""))
        if traced:
            self.spans.append(msgspec.structs.replace(made, sql=""))

    def take(self) -> tuple[list[SlowStatement], list[SlowStatement]]:
        """The slow, the failed behind them, and the traced since the last call."""
        taken = self.slow + self._errors, self.spans
        self.slow, self.spans, self._errors = [], [], []
        return taken

    def _has_room(self, count: Count, sqlstate: str) -> bool:
        """Whether one more failed statement of this second is kept; else it is dropped."""
        second, kept = int(self._clock()), self._failures
        if second != self._errors_second:
            self._errors_second = second
            kept.clear()
        if kept[count, sqlstate] < _MAX_ALIKE and kept.total() < _MAX_ERRORS:
            kept[count, sqlstate] += 1
            return True
        self.errors_dropped += 1
        return False

    def _made(self, count: Count, text: bytes, run: Run) -> SlowStatement:
        sql = text.decode("utf-8", "replace") if len(text) <= _SHOWN_TEXT else ""
        scope = count.scope
        server_us = run.total_us - run.queue_us - run.transfer_us
        return SlowStatement(
            fingerprint=count.fingerprint,
            text=sql if self._parameters and sql else count.text,
            sql=sql,
            database=scope.database,
            user=scope.user,
            application=scope.application,
            started=self._clock() - run.total_us / 1e6,
            duration_ms=run.total_us / 1e3,
            queue_ms=run.queue_us / 1e3,
            server_ms=max(0.0, server_us) / 1e3,
            rows=run.rows,
            sqlstate=run.sqlstate,
            backend_pid=run.backend_pid,
            route=scope.route,
            tags=known_tags(text),
            transfer_ms=run.transfer_us / 1e3,
            received=run.received,
            sent=run.sent,
        )
