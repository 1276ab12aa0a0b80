"""One connection's operations as they begin and end: what it ran, and its transaction.

Pure of input and output: the connection calls `begin` and `end` around each wait. Nothing that
goes wrong here reaches the application; it is counted (`Counting.faults`) and logged once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import perf_counter
from typing import Any

from psycopg import AsyncPipeline, Pipeline
from psycopg.pq import ConnStatus, TransactionStatus

from dbopt.inprocess.counting import Count, Counting, Origin, Scope, Slow
from dbopt.inprocess.operation import (
    EXECUTE,
    KINDS,
    Kind,
    declared,
    ending_of,
    finishing,
    has_placeholders,
    text_of,
    with_comment,
)
from dbopt.inprocess.parameters import shown_parameters
from dbopt.inprocess.pipelined import Awaited, Results
from dbopt.inprocess.placeholders import numbered
from dbopt.inprocess.route import LONGEST_ROUTE, current
from dbopt.inprocess.running import Running
from dbopt.inprocess.transaction import Transaction
from dbopt.sql.tags import tags

_PIPELINES = (Pipeline, AsyncPipeline)
_BAD = ConnStatus.BAD
_IDLE, _ACTIVE = int(TransactionStatus.IDLE), int(TransactionStatus.ACTIVE)
_INERROR, _UNKNOWN = int(TransactionStatus.INERROR), int(TransactionStatus.UNKNOWN)
_INTERRUPTED = (KeyboardInterrupt, SystemExit, asyncio.CancelledError)
_MAX_CURSORS = 100


class Session:
    """Observes one connection for its pool's Counting. `queue_us`: see `leased`."""

    __slots__ = (
        "before", "comments", "counting", "cursor", "cursors", "inside", "kind", "last_answer",
        "origin", "params", "pgconn", "query", "queue_us", "route", "running", "scope", "start",
        "transaction",
    )  # fmt: skip

    def __init__(self, counting: Counting, pgconn: Any, origin: Origin, comments: bool) -> None:
        self.counting, self.pgconn, self.origin, self.comments = counting, pgconn, origin, comments
        self.route = ""
        self.scope = counting.scope(origin)
        self.kind: Kind | None = None
        self.query: Any = None
        self.cursor: Any = None
        self.params: Any = None
        self.before = _IDLE
        self.inside = False
        self.start = self.last_answer = self.queue_us = 0.0
        self.cursors: dict[str, Count] = {}
        self.running: Running | None = None
        self.transaction: Transaction | None = None

    def leased(self, queue_us: float) -> None:
        """The pool lends the connection; its first statement had to wait so long for it."""
        self.queue_us = queue_us

    # Around each wait

    def begin(self, gen: Any) -> Any:
        """An operation is about to run. Returns its generator, or one that does the same."""
        try:
            kind = self.kind = KINDS.get(gen.__name__)
            if kind is not None:
                gen = self._begin(gen, kind)
        except Exception as error:
            self.kind = None
            self.counting.fault(error)
        self.start = perf_counter()
        return gen

    def end(self, connection: Any, result: Any, error: BaseException | None) -> None:
        """It has ended, with its result or an error."""
        now = perf_counter()
        try:
            if (
                self.kind is not EXECUTE
                or error is not None
                or connection._pipeline is not None
                or not self._express(now)
            ):
                self._end(connection, now, result, error)
        except Exception as fault:
            self.counting.fault(fault)
        finally:
            # A cursor holds its rows: they are the application's to free.
            self.kind = self.query = self.cursor = self.params = None

    def _express(self, now: float) -> bool:
        """Count a known statement that ran well outside of a transaction; most of all are so."""
        query = self.query
        if query.__class__ is not str or self.transaction is not None:
            return False
        if self.pgconn.transaction_status != _IDLE:
            return False
        count = self.scope.by_key.get(query)
        total_us = (now - self.start) * 1e6 + self.queue_us
        counting = self.counting
        if count is None or self.running is not None or total_us >= counting.limits.slow_us:
            return False
        rows = self.cursor.rowcount
        counting.add((count, total_us, rows if rows > 0 else 0, self.queue_us, 0.0, ""))
        self.queue_us = 0.0
        return True

    def _begin(self, gen: Any, kind: Kind) -> Any:
        arguments = gen.gi_frame.f_locals
        self.cursor = arguments["self"]
        if kind.query:
            if current.get() != self.route:
                self._look_at_route()
            if self.comments and self.route:
                gen = with_comment(gen, kind, self.route)
                arguments = gen.gi_frame.f_locals
            self.query = arguments[kind.query]
            self.params = arguments.get("params")
            return gen
        self.before = self.pgconn.transaction_status
        if isinstance(self.cursor, _PIPELINES):
            self.kind = None  # It has methods of the same names.
        elif kind.name == "enter":
            text = "SAVEPOINT s" if self.before else "BEGIN"
            self.kind = Kind("enter", text=text)
        elif kind.name == "exit":
            self.kind = ending_of(self.cursor, arguments["exc_val"])
        elif kind.name == "tpc":
            self.kind = finishing(self.cursor, arguments["action"])
        return gen

    def _end(self, connection: Any, now: float, result: Any, error: BaseException | None) -> None:
        status = self.pgconn.transaction_status
        transaction, elapsed = self.transaction, now - self.start
        # As the gateway counts them: what begins a transaction and what ends it is not in it.
        self.inside = status != _IDLE
        if transaction is not None:
            transaction.waited(self.start, now)
        elif status > _ACTIVE and status != _UNKNOWN:
            transaction = self.transaction = Transaction(self.scope, self.start, now)
            self.inside = not connection.autocommit
        pipeline = connection._pipeline
        if self.running is not None:
            self._go_on(self.running, elapsed, status, result, error)
        elif pipeline is not None:
            if type(pipeline.result_queue) is deque and not pipeline.result_queue:
                pipeline.result_queue = Results(self)
        elif self.kind is not None:
            self._ran(self.kind, elapsed, status, result, error)
        if transaction is not None and status != _ACTIVE:
            self._transaction(transaction, status, now)

    # Statements

    def _ran(
        self, kind: Kind, elapsed: float, status: int, result: Any, error: BaseException | None
    ) -> None:
        sqlstate = self._sqlstate(error) if error is not None else ""
        if error is not None and not sqlstate:
            return  # It was refused before it was sent.
        if kind.name in ("commit", "rollback", "close") and self.before == _IDLE:
            return  # There was nothing to do.
        count = self._count(kind)
        if count is None:
            return
        if status == _ACTIVE and kind.name in ("stream", "copy"):
            self.running = Running(count, self.query, self.cursor, self.params, elapsed)
            return
        rows = 0
        if error is None and kind.query and kind.name != "declare":
            rows = max(self.cursor.rowcount, 0)
        elif error is None and kind.name == "fetch":
            rows = len(result)
        sent = self.query if kind.query else None
        self._finish(count, elapsed, 0.0, rows, sqlstate, sent, self.params)

    def _go_on(
        self, run: Running, elapsed: float, status: int, result: Any, error: BaseException | None
    ) -> None:
        run.went_on(elapsed, result, self._sqlstate(error) if error is not None else "")
        if status == _ACTIVE:
            return
        self.running = None
        self._finish(
            run.count, run.busy, run.transfer, run.rows(result), run.sqlstate, run.query, run.params
        )

    def _finish(
        self, count: Count, elapsed: float, transfer: float, rows: int, sqlstate: str,
        query: Any, params: Any, alone: bool = True,
    ) -> None:  # fmt: skip
        """Count an execution that took `elapsed` seconds; `query` is None for psycopg's own."""
        queue_us = self.queue_us
        if queue_us:
            self.queue_us = 0.0
        total_us = elapsed * 1e6 + queue_us
        counting = self.counting
        counting.add((count, total_us, rows, queue_us, transfer * 1e6, sqlstate))
        if self.transaction is not None and query is not None and self.inside:
            self.transaction.ran(count, alone)
        if total_us >= counting.limits.slow_us:
            self._slow(count, total_us, queue_us, transfer * 1e6, rows, sqlstate, query, params)

    def _slow(
        self, count: Count, total_us: float, queue_us: float, transfer_us: float, rows: int,
        sqlstate: str, query: Any, params: Any,
    ) -> None:  # fmt: skip
        counting = self.counting
        shown = ""
        if counting.limits.parameters and params:
            shown = shown_parameters(params)
        sql = count.text
        if query is not None:
            text = text_of(query, None)
            if not sql or text.endswith(
                "*/"
            ):  # This one's tags: of another execution it has others.
                sql = text if params is None else numbered(text)
        started = counting.clock() - total_us / 1e6
        counting.note_slow(
            Slow(
                count, sql, shown, started, total_us, queue_us, transfer_us, rows, sqlstate,
                self.pgconn.backend_pid,
            )
        )  # fmt: skip

    # Which Count

    def _look_at_route(self) -> None:
        self.route = current.get()
        self.scope = self._scope(self.route)

    def _scope(self, route: str) -> Scope:
        own = self.origin
        return self.counting.scope(Origin(own.database, own.user, own.application, route))

    def _count(self, kind: Kind) -> Count | None:
        if kind.query:
            return self._count_query(kind)
        if kind.name == "fetch":
            known = self.cursors.get(self.cursor.name)
            if known is not None:
                return known
        text = kind.text or "FETCH FORWARD 1 FROM c"
        return self.scope.by_key.get(text) or self.counting.learn(self.scope, text, text)

    def _count_query(self, kind: Kind) -> Count | None:
        query = self.query
        key: Any = query if isinstance(query, str | bytes) else text_of(query, self.cursor)
        if kind.name == "declare":
            key = (kind.name, key)
        count = self.scope.by_key.get(key) or self._learn(kind, key)
        if kind.name == "declare" and count is not None:
            if len(self.cursors) >= _MAX_CURSORS:
                self.cursors.clear()
            self.cursors[self.cursor.name] = count
        return count

    def _learn(self, kind: Kind, key: Any) -> Count | None:
        text = text_of(self.query, self.cursor)
        if has_placeholders(kind, self.params, self.cursor):
            text = numbered(text)
        if not text or text.isspace():
            return None  # A pool's check of its connection.
        if kind.name == "declare":
            text = declared(text)
        if not text.endswith("*/"):
            return self.counting.learn(self.scope, key, text)
        return self._learn_tagged(key, text)

    def _learn_tagged(self, key: Any, text: str) -> Count:
        """Of a text with sqlcommenter's tags: each trace is another text of the same statement."""
        found = tags(text)
        named = found.get("route", "")[:LONGEST_ROUTE]
        scope = self._scope(named) if named else self.scope
        if "traceparent" in found:
            text = text[: text.rindex("/*")].rstrip()
            return scope.by_key.get(text) or self.counting.learn(scope, text, text)
        count = self.counting.learn(scope, key, text)
        if scope is not self.scope and key in scope.by_key:
            with self.counting.lock:  # the reporter may be going through it
                self.scope.by_key[key] = count
        return count

    # Pipelines

    def queued(self, cursor: Any) -> Awaited | None:
        """A statement joins the pipeline. Returns who takes its answer; None where not counted."""
        try:
            if self.kind is None or not self.kind.query:
                return None
            count = self._count_query(self.kind)
            if count is None:
                return None
            return Awaited(self, cursor, count, self.query, self.params, perf_counter())
        except Exception as error:
            self.counting.fault(error)
            return None

    def answered(self, awaited: Awaited, rows: int, sqlstate: str) -> None:
        """Its answer is here. What ran before it in the pipeline is not its time."""
        now = perf_counter()
        elapsed = now - max(awaited.started, self.last_answer)
        self.last_answer = now
        if self.transaction is None and not awaited.cursor.connection.autocommit:
            self.transaction = Transaction(self.scope, awaited.started, now)
        self.inside = True
        self._finish(
            awaited.count, elapsed, 0.0, rows, sqlstate, awaited.query, awaited.params, alone=False
        )

    # Transactions

    def _transaction(self, transaction: Transaction, status: int, now: float) -> None:
        if status not in (_IDLE, _UNKNOWN):
            transaction.broken = status == _INERROR
            return
        self.transaction = None
        failed = transaction.broken or status == _UNKNOWN or self._rolls_back()
        transaction.end(self.counting, now, failed)

    def _rolls_back(self) -> bool:
        kind = self.kind
        if kind is None or not kind.query:
            return kind is not None and kind.name == "rollback"
        text = text_of(self.query, self.cursor).lstrip()[:8].upper()
        return text.startswith(("ROLLBACK", "ABORT"))

    def _sqlstate(self, error: BaseException) -> str:
        state: str | None = getattr(error, "sqlstate", None)
        if state:
            return state
        if self.pgconn.status == _BAD:
            return "08006"
        return "57014" if isinstance(error, _INTERRUPTED) else ""
