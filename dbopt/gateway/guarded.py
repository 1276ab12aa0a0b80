"""Guarded: a client whose statements are judged before they run, and whose heavy ones queue.

It is the part of a Relay that waits for a verdict, or to be let into the pool's lane, before a
server connection is taken for it.
"""

from __future__ import annotations

import asyncio
from functools import partial

from dbopt.clock import Clock
from dbopt.errors import QueryCancelled, QueueFull, TooManyRows
from dbopt.gateway.backend import Backend
from dbopt.gateway.ending import READY, Ending
from dbopt.gateway.framing import is_one_request
from dbopt.gateway.guarding import refusal_of
from dbopt.gateway.lease import Owner
from dbopt.gateway.multiplexer import Pool
from dbopt.gateway.noted import Run
from dbopt.gateway.scopes import Scope
from dbopt.verdict import Verdict
from dbopt.wire import encode
from dbopt.wire.types import F_QUERY


class Guarded(Ending):
    """See the module. `_asked` is the number of the question whose answer is waited for, or 0.

    `_stops`: cancels under way for what has returned too many rows.
    """

    __slots__ = ("_asked", "_questions", "_stops")

    def __init__(
        self, client: Owner, pool: Pool, scope: Scope, settings: dict[str, str], clock: Clock
    ) -> None:
        super().__init__(client, pool, scope, settings, clock)
        self._asked = self._questions = self._stops = 0

    def _cleared(self, data: bytes) -> bool:
        """Whether a client that holds no backend may have one for these messages.

        Else they are kept, or the statement is refused: for that nobody need wait for a backend.
        """
        upstream = self._upstream
        text = upstream.first_text(data)
        watch = self._scope.watch
        if watch is None or not text:
            return True
        upstream.settings = self._settings
        verdict = upstream.known_verdict(text)
        if verdict is None:
            self._rest += data
            self._ask(text)
            return False
        if verdict.refused and data[0] == F_QUERY and is_one_request(data):
            watch.refuse(text, verdict)
            self._refused_alone(text, refusal_of(verdict), verdict.sqlstate)
            return False
        if verdict.heavy and not verdict.refused and not self._in_lane:
            return self._enter_lane(data)
        return True

    def _refused_alone(self, text: bytes, report: bytes, sqlstate: str) -> None:
        """Tell a client that is in no transaction; what it asked for has come to nothing."""
        answer = report + READY
        self.transport.write(answer)
        self._upstream.unnamed = None  # as any simple Query ends it
        self._sent = self._clock()
        count = self._scope.count(text)
        size = len(text) + 6
        count.add(0.0, 0, size, len(answer))
        count.failed(sqlstate)
        count.scope.counts.note(count, text, Run(0.0, 0.0, 0.0, 0, sqlstate, 0, size, len(answer)))
        self._pool.statements += 1
        self._quiet = True
        self.resume_reading()

    def _ask(self, text: bytes) -> None:
        """Ask what may become of a statement; the client goes on when that is known."""
        watch = self._scope.watch
        self._questions += 1
        self._asked = self._questions
        if watch is None:
            self._told(self._asked)
        else:
            watch.ask(text, partial(self._told, self._asked))

    def _told(self, question: int) -> None:
        """There is a verdict, or what stands for one."""
        if question != self._asked:
            return  # it was cancelled
        self._asked = 0
        self._upstream.unjudged = b""
        if not self.closed:
            self._resume()

    def cancel(self) -> asyncio.Task[None] | None:
        """See Ending: what waits for its verdict too."""
        if self._asked and self.backend is None and is_one_request(bytes(self._rest)):
            self._asked = 0
            self._upstream.unjudged = b""
            self.refused(QueryCancelled("The statement was cancelled before it ran."))
            return None
        return super().cancel()

    def _resume(self) -> None:
        """Go on with what was kept."""
        raise NotImplementedError

    # Rows

    def _mind_rows(self, backend: Backend) -> None:
        """A statement has returned too many rows: end it, and if that was too late, fail it."""
        downstream, request = backend.downstream, self._ledger.limited
        if request is None or not request.over:
            return
        if not request.refusal:
            limit = request.max_rows
            request.refusal = encode.error_response(
                TooManyRows(
                    f"The statement returns more than {limit} rows, which is guard.max_rows.",
                    hint="Ask for less, by LIMIT or WHERE, or fetch it in parts.",
                )
            )
            request.sqlstate = TooManyRows.sqlstate
            if self._scope.watch is not None:
                self._scope.watch.refuse(request.text, Verdict(rule="max-rows"))
            if not downstream.late:
                self._stops += 1
                stopped = partial(self._stopped, backend)
                self._pool.cancel(backend).add_done_callback(stopped)
        if downstream.late and not self._stops:
            # The client must find its transaction failed, and its pipeline skipped.
            backend.transport.write(downstream.late)
            downstream.late = b""

    def _stopped(self, backend: Backend, _: asyncio.Task[None]) -> None:
        """A cancel is over: if the statement was done before, the next could have been hit."""
        self._stops -= 1
        if self.backend is backend and not self.closed:
            self._mind_rows(backend)

    def _leave(self, cancel: bool) -> None:
        backend, ledger = self.backend, self._ledger
        if backend is not None and ledger.limited is not None:
            ledger.limited = None  # nobody gets its rows
            if backend.downstream.late and not backend.closed:
                backend.transport.write(backend.downstream.late)
            backend.downstream.late = b""
        super()._leave(cancel)

    # The lane

    def _enter_lane(self, data: bytes) -> bool:
        """Whether there is room for one more heavy statement; else the client waits for it."""
        pool = self._pool
        lane, route = pool.lane, pool.route
        if 0 < route.max_queue <= len(lane.waiting):
            pool.queue_refusals += 1
            self._rest += data
            self.refused(
                QueueFull(
                    f"{len(lane.waiting)} clients already wait to run heavy statements in pool "
                    f"{pool.name}; max_queue is {route.max_queue}.",
                    hint="Make them lighter, or raise guard.heavy_share or pool.max_queue.",
                )
            )
            return False
        if lane.enter(self, self._clock()):
            self._in_lane = True
            return True
        self._rest += data
        self.waiting = True
        return False

    def let_in(self) -> None:
        """The lane has room for this client: now it needs a backend."""
        self.waiting = False
        self._in_lane = True
        self._resume()
        if self.backend is None and not self.waiting:
            self._leave_lane()  # it was refused, or has nothing to run any more

    def _join_lane(self) -> None:
        """A heavy statement has passed within a transaction."""
        self._upstream.heavy = False
        if self._in_flight and not self._in_lane:
            self._in_lane = True
            self._pool.lane.join()
