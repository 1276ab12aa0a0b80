"""A stream or a COPY: one statement that goes on after the wait that began it."""

from __future__ import annotations

from typing import Any

from dbopt.inprocess.counting import Count


class Running:
    """What is known of it so far. Times are seconds; the application's own are not among them."""

    __slots__ = (
        "busy", "count", "cursor", "params", "query", "sqlstate", "steps", "streamed", "transfer",
    )  # fmt: skip

    def __init__(self, count: Count, query: Any, cursor: Any, params: Any, busy: float) -> None:
        self.count, self.query, self.cursor, self.params = count, query, cursor, params
        self.busy, self.transfer = busy, 0.0
        self.streamed = self.steps = 0
        self.sqlstate = ""

    def went_on(self, elapsed: float, result: Any, sqlstate: str) -> None:
        """A part of it was read or written, or it failed."""
        self.busy += elapsed
        self.steps += 1
        if self.steps > 1:
            self.transfer += elapsed
        self.streamed += getattr(result, "ntuples", 0)
        self.sqlstate = self.sqlstate or sqlstate

    def rows(self, result: Any) -> int:
        """Its rows, once it has ended: a stream's, or those that COPY tells."""
        told = getattr(result, "command_tuples", None)
        return self.streamed or told or max(self.cursor.rowcount, 0)
