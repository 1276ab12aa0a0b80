"""Statements of psycopg's pipeline mode: counted when their answers are taken, each for itself."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from psycopg.pq import DiagnosticField, ExecStatus

from dbopt.inprocess.counting import Count

if TYPE_CHECKING:
    from dbopt.inprocess.session import Session

_ABORTED, _FAILED = ExecStatus.PIPELINE_ABORTED, ExecStatus.FATAL_ERROR
_ROWS = ExecStatus.TUPLES_OK


class Results(deque[Any]):
    """psycopg's queue of answers that are awaited: whoever is put in is observed."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session

    def append(self, entry: Any) -> None:
        """As the deque's; psycopg puts in (cursor, what it prepares), and None for its own."""
        if entry is not None:
            awaited = self._session.queued(entry[0])
            if awaited is not None:
                entry = (awaited, entry[1])
        super().append(entry)


class Awaited:
    """Stands for the cursor that a statement's answer goes to, and passes it on."""

    __slots__ = ("count", "cursor", "params", "query", "session", "started")

    def __init__(
        self, session: Session, cursor: Any, count: Count, query: Any, params: Any, started: float
    ) -> None:
        self.session, self.cursor, self.count = session, cursor, count
        self.query, self.params, self.started = query, params, started

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cursor, name)

    def _check_results(self, results: list[Any]) -> None:
        try:
            self._answered(results)
        except Exception as error:
            self.session.counting.fault(error)
        self.cursor._check_results(results)

    def _answered(self, results: list[Any]) -> None:
        rows, sqlstate = 0, ""
        for result in results:
            if result.status == _ABORTED:
                return  # It did not run.
            if result.status == _FAILED:
                field = result.error_field(DiagnosticField.SQLSTATE)
                sqlstate = field.decode("ascii", "replace") if field else "XX000"
            else:
                rows += result.ntuples if result.status == _ROWS else result.command_tuples or 0
        self.session.answered(self, rows, sqlstate)
