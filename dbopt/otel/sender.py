"""The sender: a thread of its own that gives what it holds to the receiver, while it can.

A receiver that is slow or away costs a counter and one line in the log: what is held is bounded,
the oldest is sent first, and what there is no room for is dropped.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

import structlog

from dbopt.clock import Clock, monotonic
from dbopt.observation import SlowStatement

log = structlog.get_logger("dbopt.otel")

BATCH = 512
EVERY = 1.0
"""Seconds between two looks at what there is to send."""
_LONGEST_PAUSE = 30.0

_MOST_ATTEMPTS = 10
"""After these, some minutes, a batch is dropped: the receiver may refuse it for what it holds."""

SendSpans = Callable[[Sequence[SlowStatement]], bool]
"""Sends them all; False where the receiver did not take them."""
SendMetrics = Callable[[], bool]


class Sender:
    """`offer` from the event loop; all else happens in the thread. Counts since the start."""

    def __init__(
        self,
        spans: SendSpans,
        metrics: SendMetrics | None,
        interval: float,
        capacity: int,
        every: float = EVERY,
        clock: Clock = monotonic,
    ) -> None:
        self.sent = self.dropped = self.failures = 0
        self._spans = spans
        self._metrics = metrics
        self._interval = interval
        self._capacity = capacity
        self._every = every
        self._clock = clock
        self._held: deque[SlowStatement] = deque()
        self._due = clock() + interval
        self._pause = 0.0
        self._away = False
        self._attempts = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dbopt-otel", daemon=True)

    @property
    def held(self) -> int:
        """Spans that wait to be sent."""
        return len(self._held)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Send what is there, once, and end. Waits at most `timeout` seconds."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def offer(self, statements: Sequence[SlowStatement]) -> None:
        """Hold these, as far as there is room."""
        room = self._capacity - len(self._held)
        self._held.extend(statements[: max(room, 0)])
        self.dropped += max(len(statements) - max(room, 0), 0)

    def _run(self) -> None:
        while not self._stop.wait(max(self._every, self._pause)):
            self._round(self._clock() >= self._due)
        if not self._away:
            self._round(True)

    def _round(self, metrics: bool) -> None:
        taken = self._send_spans()
        if metrics and self._metrics is not None and taken:
            self._due = self._clock() + self._interval
            taken = self._tried(self._metrics)
        self._noted(taken)

    def _send_spans(self) -> bool:
        while self._held:
            batch = [self._held[place] for place in range(min(BATCH, len(self._held)))]
            self._attempts += 1
            taken = self._tried(partial(self._spans, batch))
            if not taken and self._attempts < _MOST_ATTEMPTS:
                return False
            for _ in batch:  # the loop only ever adds at the other end
                self._held.popleft()
            self._attempts = 0
            if not taken:
                self.dropped += len(batch)
                return False
            self.sent += len(batch)
        return True

    def _tried(self, send: Callable[[], bool]) -> bool:
        """What `send` says; a fault of ours must not end the thread."""
        try:
            return send()
        except Exception as error:
            log.error("could not export", error=type(error).__name__)  # noqa: TRY400 - words leak
            return False

    def _noted(self, taken: bool) -> None:
        if taken:
            if self._away:
                log.info("the OpenTelemetry receiver takes what it is sent again")
            self._away, self._pause = False, 0.0
            return
        self.failures += 1
        self._pause = min(max(2 * self._pause, self._every), _LONGEST_PAUSE)
        if not self._away:
            self._away = True
            log.warning(
                "the OpenTelemetry receiver does not take what it is sent",
                held=self.held,
                hint="Look at otel.endpoint and otel.headers. Spans are held, up to otel.queue.",
            )
