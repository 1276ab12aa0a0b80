"""The express way: a client at rest sends one request, and its answer comes in one piece.

Nearly all traffic is like this: a simple Query, or a batch Bind…Sync of a known statement. Such a
request gets no ledger entry. What turns out to be anything else becomes one (`_spill`), and goes
the general way of `relay.py`.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from dbopt.clock import Clock
from dbopt.errors import DboptError
from dbopt.gateway.backend import Backend
from dbopt.gateway.connection import Connection
from dbopt.gateway.downstream import rows_of
from dbopt.gateway.framing import ends_batch
from dbopt.gateway.ledger import Ledger
from dbopt.gateway.multiplexer import Pool
from dbopt.gateway.noted import Run
from dbopt.gateway.request import EXECUTE, PARSE, QUERY, SYNC_REQUEST, Request
from dbopt.gateway.scopes import Count, Scope
from dbopt.gateway.statements import Statement
from dbopt.gateway.upstream import Upstream
from dbopt.wire.types import (
    B_BIND_COMPLETE,
    B_COMMAND_COMPLETE,
    B_DATA_ROW,
    B_NO_DATA,
    B_PARSE_COMPLETE,
    B_READY_FOR_QUERY,
    B_ROW_DESCRIPTION,
    F_BIND,
    F_PARSE,
    F_QUERY,
    IDLE,
)

_length = Struct("!i").unpack_from
_bind_header = Struct("!ciB").pack
_PLAIN: Final = frozenset((B_ROW_DESCRIPTION, B_PARSE_COMPLETE, B_BIND_COMPLETE, B_NO_DATA))
_BATCH: Final = frozenset((F_PARSE, F_BIND))
_LEAST_BIND: Final = 13
"""Bytes of the shortest Bind: two empty names and three empty lists."""
_LEAST_BATCH: Final = _LEAST_BIND + 10 + 5
_ROLLED_BACK: Final = b"ROLLBACK\0Z\0\0\0\5I"


class Express(Connection):
    """See the module. A Relay is one.

    `_quiet`: nothing is in flight, kept or half sent. `_kept`: the backend is not given back
    when a transaction ends. `_lone`: what the request in flight is counted as, if it is alone,
    and `_queued` the same of one that waits for a backend. `_rest` is what the client has sent
    that cannot be passed on yet. `_sent` is when the request was, or came, if it had to wait:
    then it equals `_waited_since`.
    """

    __slots__ = (
        "_clock", "_fresh", "_held", "_kept", "_ledger", "_lone", "_lone_parse", "_lone_size",
        "_lone_statement", "_lone_text", "_pool", "_queued", "_quiet", "_rest", "_scope",
        "_sent", "_settings", "_upstream", "_waited", "_waited_since",
    )  # fmt: skip

    logging_in = False
    _single: bool  # each statement alone: Relay's, by the mode that the pool had when it came

    def __init__(self, pool: Pool, scope: Scope, settings: dict[str, str], clock: Clock) -> None:
        super().__init__()
        self._pool = pool
        self._scope = scope
        self.application = scope.application
        self._settings = settings
        self._clock = clock
        self._ledger = Ledger(scope)
        self._upstream = Upstream(self._ledger, pool.registry)
        self._quiet = True
        self._kept = False
        self._fresh = False
        self._sent = 0.0
        self._waited = self._waited_since = 0.0
        self._rest = bytearray()
        self._queued: Count | None = None
        self._held = b""
        self._lone: Count | None = None
        self._lone_text = b""
        self._lone_parse = False
        self._lone_size = 0
        self._lone_statement: Statement | None = None

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        if self._quiet:
            kind = data[0]
            if kind == F_QUERY:
                if self._lone_query(data):
                    return
            elif kind in _BATCH and self._lone_batch(data):
                return
        try:
            if self._queued is not None:
                self._unqueue()
            self._receive(data)
        except DboptError as error:
            self._bad_input(error)

    def _lone_query(self, data: bytes) -> bool:
        """Send it, if that is all there is to do."""
        size = len(data)
        if size < 6 or _length(data, 1)[0] + 1 != size:
            return False
        text = data[5:-1]
        count = self._scope.count(text)
        if count.special:
            return False
        backend = self.backend
        if backend is None:
            backend = self._lease()
            if backend is None:
                return self._line_up(data, count)
        self._send_query(backend, data, count, text)
        return True

    def _send_query(self, backend: Backend, data: bytes, count: Count, text: bytes) -> None:
        backend.prepared.unnamed = self._upstream.unnamed = None
        self._quiet = self._fresh = False
        self._lone = count
        self._lone_text = text
        self._lone_statement = None
        self._sent = self._clock()
        self._lone_size = size = len(data)
        self._pool.received += size
        backend.transport.write(data)

    def _line_up(self, data: bytes, count: Count) -> bool:
        """Wait with it for a backend, if there is none; not where the general way must go on."""
        pool = self._pool
        if self.backend is not None or pool.draining:
            return False
        self._quiet = False
        self._queued = count
        self._held = data
        self.waiting = True
        backend = pool.acquire(self)
        if backend is not None:
            self.granted(backend, 0.0)
        return True

    def _unqueue(self) -> None:
        """More has come, or it must be looked at: what waits is no lone request any more."""
        self._queued = None
        self._rest += self._held
        self._held = b""

    def granted(self, backend: Backend, waited: float) -> None:
        """See leases.Waiter."""
        self.waiting = False
        self._take(backend)
        if self._read_paused:
            self.resume_reading()
        count = self._queued
        if count is not None:
            if self._first_in_line(backend, self._held, count, waited):
                self._queued = None
                self._held = b""
                return
            self._unqueue()
        self._go_first(backend, waited)

    def _first_in_line(self, backend: Backend, data: bytes, count: Count, waited: float) -> bool:
        """Send the request that has waited; False where the general way must."""
        if backend.settings is not self._settings or count.special:
            return False
        if data[0] == F_QUERY:
            text = data[5:-1]
            count = self._scope.count(text)  # what it was may be forgotten, and a verdict with it
            if count.special:
                return False
            self._send_query(backend, data, count, text)
        elif not self._lone_batch(data):
            return False
        self._waited = waited
        self._sent = self._waited_since = self._sent - waited
        sent = self._lone or count  # what it was may be forgotten, too
        sent.queue_us += waited * 1e6
        return True

    def _lease(self) -> Backend | None:
        """A backend that is free and has this client's settings; else the general way goes on."""
        pool = self._pool
        if not pool.idle or pool.waiting:
            return None
        backend = pool.idle.pop()
        if backend.closed:
            return None
        self._take(backend)
        return backend if backend.settings is self._settings else None

    def _take(self, backend: Backend) -> None:
        self.backend = backend
        backend.holder = self
        self._fresh = True  # until a request is sent
        if self._write_paused:
            backend.transport.pause_reading()

    def _lone_batch(self, data: bytes) -> bool:
        """Send [Parse] Bind [Describe] Execute Sync of a statement that is known."""
        upstream = self._upstream
        size = len(data)
        bind = 0
        statement: Statement | None = None
        if data[0] == F_PARSE:
            if size < _LEAST_BATCH:
                return False
            bind = 1 + _length(data, 1)[0]
            if not 7 < bind <= size - _LEAST_BATCH or data[5]:
                return False
            statement = upstream.registry.unnamed.get(data[:bind])
            if statement is None or data[bind] != F_BIND or data[bind + 6]:
                return False
        if size - bind < _LEAST_BATCH or data[bind + 5]:
            return False
        length = _length(data, bind + 1)[0]
        if not _LEAST_BIND <= length + 1 <= size - bind - 15:
            return False
        if not ends_batch(data, bind + 1 + length, size):
            return False
        name_end = 0
        if statement is None:
            name_end = data.find(0, 6, length + 1)
            statement = upstream.names.get(data[6:name_end])
            if statement is None:
                return False
        count = self._scope.count(statement.sql)
        if count.special or statement.special:
            return False
        backend = self.backend
        if backend is None:
            backend = self._lease()
            if backend is None:
                return self._line_up(data, count)
        if name_end:
            name = statement.name
            prepared = backend.prepared
            if (prepared.crowded and self._fresh) or not prepared.use(name):
                return False
            header = _bind_header(b"B", length + 6 + len(name) - name_end, 0)
            data = b"".join((header, name, data[name_end:]))
        else:
            backend.prepared.unnamed = upstream.unnamed = statement
        self._quiet = self._fresh = False
        self._lone = count
        self._lone_statement = statement
        self._lone_parse = bind != 0
        self._sent = self._clock()
        self._lone_size = size
        self._pool.received += size
        backend.transport.write(data)
        return True

    def from_server(self, data: bytes) -> None:
        """See backend.Holder."""
        count, backend = self._lone, self.backend
        if count is None or backend is None or backend.downstream.partial:
            self._spill()
            self._answer(data)
            return
        last = len(data) - 6
        position = rows = 0
        while position < last:
            kind = data[position]
            length = _length(data, position + 1)[0]
            if length < 4:
                break
            if kind == B_COMMAND_COMPLETE:
                rows += rows_of(data[position + 5 : position + 1 + length])
            elif kind != B_DATA_ROW and kind not in _PLAIN:
                break
            position += length + 1
        if position != last or data[last] != B_READY_FOR_QUERY or _length(data, last + 1)[0] != 5:
            self._spill()
            self._answer(data)
            return
        self._lone = None
        self._quiet = True
        self.transport.write(data)
        now = self._clock()
        took_us = (now - self._sent) * 1e6
        last += 6
        count.add(took_us, rows, self._lone_size, last)
        if took_us >= count.scope.counts.least_us:
            self._note(count, took_us, rows, last)
        pool = self._pool
        pool.sent += last
        pool.statements += 1
        ledger = self._ledger
        status = data[-1]
        if status != IDLE:
            self._in_transaction(status, count, now)
            return
        if ledger.status != IDLE:
            ledger.status = IDLE
            ledger.leave_block(self._sent, now, failed=data.endswith(_ROLLED_BACK))
        pool.transactions += 1
        if self._kept:
            return
        self.backend = backend.holder = None
        if self._write_paused:
            backend.transport.resume_reading()
        if self._read_paused:
            self.resume_reading()
        if backend.unfit or pool.waiting or pool.closing:
            pool.release(backend, now)
        else:
            backend.idle_since = now
            pool.idle.append(backend)

    def _in_transaction(self, status: int, count: Count, now: float) -> None:
        ledger = self._ledger
        block = ledger.block
        if block is None:
            ledger.in_block(count, now)
        else:
            block.ran_alone(count, self._sent, now)
        if ledger.status == IDLE:
            ledger.began = now
        ledger.status = status
        ledger.last_done = now
        if self._lone_statement is not None:
            self._upstream.portals[b""] = self._lone_statement  # it lives on in the transaction
        if self._single:
            self._open_transaction()

    def _note(self, count: Count, took_us: float, rows: int, sent: int) -> None:
        statement = self._lone_statement
        text = statement.sql if statement is not None else self._lone_text
        pid = self.backend.pid if self.backend is not None else 0
        queue_us = self._waited * 1e6 if self._sent == self._waited_since else 0.0
        run = Run(took_us, queue_us, 0.0, rows, "", pid, self._lone_size, sent)
        count.scope.counts.note(count, text, run)

    def _spill(self) -> None:
        """The request that is in flight is not alone, or its answer not in one piece."""
        count, self._lone = self._lone, None
        if count is None:
            return
        ledger, statement = self._ledger, self._lone_statement
        if self.backend is not None:
            ledger.backend_pid = self.backend.pid
        if statement is None:
            request = Request(QUERY, self._lone_text, self._sent)
            ledger.requests.append(request)
        else:
            if self._lone_parse:
                ledger.requests.append(Request(PARSE, statement.sql, self._sent, statement))
            request = Request(EXECUTE, statement.sql, self._sent, statement)
            self._upstream.portals[b""] = statement
            ledger.requests += (request, SYNC_REQUEST)
        request.count = count
        request.timeout = count.timeout
        request.received = self._lone_size
        ledger.latest = request
        if ledger.block is not None:
            ledger.block.went_on(self._sent)
        if self._sent == self._waited_since:
            request.queue_us = self._waited * 1e6
            request.queued = True  # a report may have told of it: it is not taken back
            request.sent += self._waited
        ledger.ends += 1

    # The general way

    def _receive(self, data: bytes) -> None:
        """Bytes of the client."""
        raise NotImplementedError

    def _open_transaction(self) -> None:
        """A pool of mode statement allows none."""
        raise NotImplementedError

    def _answer(self, data: bytes) -> None:
        """Bytes of the server."""
        raise NotImplementedError

    def _go_first(self, backend: Backend, waited: float) -> None:
        """Send what has waited, the general way."""
        raise NotImplementedError

    def refused(self, error: DboptError) -> None:
        """See leases.Waiter."""
        raise NotImplementedError

    def server_lost(self) -> None:
        """See backend.Holder."""
        raise NotImplementedError

    def _bad_input(self, error: DboptError) -> None:
        """The client sent what cannot be passed on."""
        raise NotImplementedError
