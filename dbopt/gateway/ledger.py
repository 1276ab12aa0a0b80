"""The ledger of one client: what it asked of its backend and has not been answered, in order.

PostgreSQL answers strictly in order, so a queue of requests tells which reply belongs to
what. Only requests that the gateway must act on when they are answered are entered: those
whose reply is hidden or changed, those that are timed, and those that end a batch.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import Final

from dbopt.errors import DboptError
from dbopt.gateway.counts import Count, Scope
from dbopt.gateway.special import Work
from dbopt.gateway.statements import Statement

# What a request was. Those from QUERY up end a batch: ReadyForQuery answers them.
PARSE: Final = 0  # its ParseComplete goes to the client
PARSE_HIDDEN: Final = 1  # sent by the gateway: the reply is hidden
CLOSE: Final = 2
CLOSE_HIDDEN: Final = 3
CHECK: Final = 4  # a Describe sent by the gateway: its replies are hidden, but for an error
EXECUTE: Final = 5
COPY_END: Final = 6  # CopyDone or CopyFail, sent before the server began to copy
QUERY: Final = 7
FUNCTION: Final = 8
SYNC: Final = 9
SETTINGS: Final = 10  # sent by the gateway to bring the session to the client's settings
ENSURE: Final = 11  # sent by the gateway to prepare what the client's SQL names
_RUNS: Final = frozenset((EXECUTE, QUERY, FUNCTION))
EVERY: Final = None
"""What stands for all names, where one does."""
PROBE: Final = 12  # sent by the gateway to see what the session holds
# Those from SETTINGS up are the gateway's own: all replies up to ReadyForQuery are hidden.


class Request:
    """One entry. `name` is the client's name of a statement that a Parse makes.

    `work` is what a special text does; `refusal` the error to give instead of the server's.
    `known`: the backend has the statement that a Parse makes anew; `former`: the unnamed statement
    before it. `keys` are what it touches, see Ledger. `timeout` is seconds that the guard lets it
    run, and `max_rows` the rows that it lets it return; 0 for no limit. `returned` are those that
    it has, where they are counted, and `over`: they are more.
    """

    __slots__ = (
        "count", "former", "keys", "kind", "known", "max_rows", "name", "over", "queue_us",
        "refusal", "returned", "rows", "sent", "sqlstate", "statement", "text", "timeout", "work",
    )  # fmt: skip

    def __init__(
        self,
        kind: int,
        text: bytes = b"",
        sent: float = 0.0,
        statement: Statement | None = None,
        name: bytes = b"",
    ) -> None:
        self.kind = kind
        self.text = text
        self.sent = sent
        self.statement = statement
        self.name = name
        self.count: Count | None = None
        self.work: Work | None = None
        self.refusal = b""
        self.keys: tuple[object, ...] = ()
        self.known = False
        self.former: Statement | None = None
        self.queue_us = 0.0
        self.rows = 0
        self.sqlstate = ""
        self.timeout = 0.0
        self.max_rows = 0
        self.returned = 0
        self.over = False


SYNC_REQUEST: Final = Request(SYNC)
"""Syncs carry nothing, so they share one entry."""
COPY_END_REQUEST: Final = Request(COPY_END)


class Ledger:
    """Requests in flight, and whether the backend may be given to somebody else.

    `ends` counts the ReadyForQuery still owed; `open_batch` is set while extended-protocol
    messages wait for their Sync; `skipping` while the server discards until Sync; `copying`
    while the server reads COPY data, when it ignores Sync; `status` is the last
    transaction status; `began` is when it became that of a transaction, or a batch was begun
    outside of one. `verdict` is what the client is told when the statement `judged` is cancelled
    for a timeout. `limited` is the request in flight whose rows are counted: there is no other.
    """

    __slots__ = (
        "answered", "backend_pid", "batch", "began", "copying", "ends", "judged", "last_done",
        "limited", "open_batch", "requests", "scope", "skipping", "status", "touched",
        "transactions", "verdict",
    )  # fmt: skip

    def __init__(self, scope: Scope) -> None:
        self.requests: deque[Request] = deque()
        self.touched: dict[object, tuple[int, int]] = {}
        self.batch = 0
        self.scope = scope
        self.status = 0x49  # 'I'
        self.ends = 0
        self.open_batch = False
        self.skipping = False
        self.copying = False
        self.last_done = 0.0
        self.began = 0.0
        self.verdict: DboptError | None = None
        self.judged: Request | None = None
        self.limited: Request | None = None
        self.backend_pid = 0
        self.answered = 0
        self.transactions = 0

    @property
    def at_rest(self) -> bool:
        """Whether nothing is in flight and no transaction is open."""
        return self.ends == 0 and not (self.open_batch or self.requests) and self.status == 0x49

    def enter(self, request: Request, *keys: object) -> None:
        """Enter a request after which these names and statements are others, if it succeeds."""
        request.keys = keys
        for key in keys:
            self.touched[key] = (self.touched.get(key, (0, 0))[0] + 1, self.batch)
        self.requests.append(request)

    def await_(self, request: Request) -> None:
        """Enter a request that is in doubt in its own batch too, as its own key, until answered."""
        self.enter(request, request)
        self.touched[request] = (1, -1)

    def leave(self, request: Request) -> None:
        """What a request has touched is known: it was answered, or skipped."""
        for key in request.keys:
            number, batch = self.touched.pop(key)
            if number > 1:
                self.touched[key] = (number - 1, batch)

    def unsure(self, key: object) -> bool:
        """Whether an earlier batch may change it, or not: that is not answered yet."""
        touched = self.touched
        if key is EVERY:
            return any(batch != self.batch for _, batch in touched.values())
        _, batch = touched.get(key) or touched.get(EVERY) or (0, self.batch)
        return batch != self.batch

    def end_batch(self, request: Request) -> None:
        """Enter what ends a batch; `touched` by it is what its own work changes."""
        self.requests.append(request)
        self.ends += 1
        self.batch += 1

    @property
    def executes(self) -> bool:
        """Whether a statement of the client's is in flight that may return rows, but for a COPY."""
        return not self.copying and any(r.kind in _RUNS for r in self.requests)

    def hides(self) -> bool:
        """Whether the next reply is to the gateway itself."""
        if not self.requests:
            return False
        kind = self.requests[0].kind
        if kind == COPY_END:  # of a COPY that had failed
            head = self.head()
            return head is not None and head.kind >= SETTINGS
        return kind >= SETTINGS or kind == CHECK

    def hide(self, kind: int, statement: Statement | None = None) -> None:
        """Enter a query of the gateway's own."""
        self.requests.append(Request(kind, statement=statement))
        self.ends += 1

    def finish(self, request: Request, now: float) -> None:
        """Count a statement that was answered. `now` is monotonic seconds.

        Of pipelined statements each is charged from the moment when the one before it ended.
        """
        if request is self.limited:
            self.limited = None
        sent = request.sent
        started = sent if sent > self.last_done else self.last_done
        self.last_done = now
        self.answered += 1
        server_us = (now - started) * 1e6
        count = request.count or self.scope.count(request.text)
        count.add(request.queue_us + server_us, request.rows)
        if request.queue_us:
            count.queue_us += request.queue_us
        if request.sqlstate:
            count.failed(request.sqlstate)
        counts = count.scope.counts
        if request.queue_us + server_us >= counts.slow_us:
            counts.note_slow(
                count, request.text, request.queue_us, server_us, request.rows, request.sqlstate,
                self.backend_pid,
            )  # fmt: skip

    def open(self, now: float) -> None:
        """An extended-protocol message begins a batch, which is an implicit transaction."""
        self.open_batch = True
        if self.status == 0x49:
            self.began = now

    def head(self) -> Request | None:
        """The request that the next reply belongs to."""
        requests = self.requests
        while requests and requests[0].kind == COPY_END:
            requests.popleft()
        return requests[0] if requests else None

    def complete(self, now: float) -> None:
        """An Execute was answered (CommandComplete, EmptyQueryResponse, PortalSuspended)."""
        request = self.requests.popleft()
        if request.keys:
            self.leave(request)
        self.finish(request, now)

    def copy_ended(self) -> None:
        """The client sent CopyDone or CopyFail, maybe before the server began to copy."""
        if self.copying:
            self.copying = False
        elif self.requests:
            self.requests.append(COPY_END_REQUEST)

    def fail(self, sqlstate: str, now: float) -> list[Request]:
        """An ErrorResponse came: gives the requests that the server now skips.

        In the extended protocol it skips all up to the next Sync, a simple Query included.
        """
        requests = self.requests
        head = self.head()
        if head is not None and head.kind in (QUERY, FUNCTION):
            head.sqlstate = sqlstate
            self.copying = False
            return []
        skipped: list[Request] = []
        while requests and requests[0].kind != SYNC:
            request = requests.popleft()
            skipped.append(request)
            self.leave(request)
            if request.kind >= QUERY:
                self.ends -= 1
        if self.limited in skipped:
            self.limited = None
        if not requests:
            self.skipping = self.open_batch = True
        self.copying = False
        self._charge(skipped, sqlstate, now)
        return skipped

    def _charge(self, skipped: list[Request], sqlstate: str, now: float) -> None:
        # The failed statement is the first that was to be executed; a Parse or Bind that
        # fails before any Execute is charged to its own text.
        for request in skipped:
            if request.kind == EXECUTE or (request.kind == PARSE and request.text):
                request.sqlstate = sqlstate
                self.finish(request, now)
                return

    def copy_in_started(self) -> None:
        """The server now reads COPY data, and ignores each Sync up to CopyDone or CopyFail.

        If the client has sent anything else before those, the COPY will have failed by then, or
        the server ends the connection: an end of a COPY that comes later is another's.
        """
        requests = self.requests
        self.limited = None  # it returns no rows, and waits for what the client sends
        if self.head() is None:
            return
        syncs = 1
        while syncs < len(requests) and requests[syncs].kind == SYNC:
            syncs += 1
        after = requests[syncs].kind if syncs < len(requests) else None
        self.copying = after is None
        if after is None or after == COPY_END:
            self.ends -= syncs - 1
            kept = [requests[0], *islice(requests, syncs + (after is not None), None)]
            self.requests = deque(kept)
        if requests[0].kind == EXECUTE and not self.ends:
            self.open_batch = True  # the Sync that was to end it is among the ignored

    def clear(self) -> None:
        """Forget all: the backend is gone."""
        self.requests.clear()
        self.touched.clear()
        self.ends = 0
        self.open_batch = self.skipping = self.copying = False
        self.verdict = self.limited = None
        self.status = 0x49
