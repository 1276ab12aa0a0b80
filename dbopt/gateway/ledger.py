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
from dbopt.gateway.noted import Run
from dbopt.gateway.request import (
    CHECK,
    CLOSE_HIDDEN,
    COPY_END,
    COPY_END_REQUEST,
    EXECUTE,
    FUNCTION,
    PARSE,
    PARSE_HIDDEN,
    QUERY,
    SETTINGS,
    SYNC,
    Request,
)
from dbopt.gateway.scopes import Count, Scope
from dbopt.gateway.statements import Statement
from dbopt.gateway.transactions import Transaction

_HIDDEN: Final = frozenset((PARSE_HIDDEN, CLOSE_HIDDEN, CHECK))
_RUNS: Final = frozenset((EXECUTE, QUERY, FUNCTION))
BEGINS: Final = frozenset((b"BEGIN\0", b"START TRANSACTION\0"))
BLOCK_TAGS: Final = BEGINS | {b"COMMIT\0", b"ROLLBACK\0", b"PREPARE TRANSACTION\0"}
"""What the server says of what begins or ends a transaction block; ROLLBACK TO has such a tag."""
EVERY: Final = None
"""What stands for all names, where one does."""


class Ledger:
    """Requests in flight, and whether the backend may be given to somebody else.

    `ends` counts the ReadyForQuery still owed; `open_batch` is set while extended-protocol
    messages wait for their Sync; `skipping` while the server discards until Sync; `copying`
    while the server reads COPY data, when it ignores Sync; `status` is the last
    transaction status; `began` is when it became that of a transaction, or a batch was begun
    outside of one. `verdict` is what the client is told when the statement `judged` is cancelled
    for a timeout. `limited` is the request in flight whose rows are counted: there is no other.
    `block` is the open transaction, from BEGIN on.

    What is told of a statement's bytes: `latest` is the last request that runs something, while it
    is not answered, and `unassigned` are the bytes that have come for one that is to follow, of
    which `ahead` tells that a message has come. Of the client's chunk at hand, `mark` is up to
    where it is some request's. Of the server's bytes `taken` came in earlier chunks, `passed` are
    those up to the message at hand, and `charged` those that are some statement's; `first_byte` is
    when the first came that is none's. `finished` is the statement of this batch that was answered
    last.
    """

    __slots__ = (
        "ahead", "answered", "backend_pid", "batch", "began", "block", "charged", "copying", "ends",
        "finished", "first_byte", "judged", "last_done", "latest", "limited", "mark",
        "open_batch",
        "passed", "requests", "scope", "skipping", "status", "taken", "touched", "transactions",
        "unassigned", "verdict",
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
        self.block: Transaction | None = None
        self.latest: Request | None = None
        self.finished: Count | None = None
        self.first_byte = 0.0
        self.ahead = False
        self.mark = self.unassigned = self.taken = self.passed = self.charged = 0

    @property
    def at_rest(self) -> bool:
        """Whether nothing is in flight and no transaction is open."""
        return self.ends == 0 and not (self.open_batch or self.requests) and self.status == 0x49

    @property
    def unflushed(self) -> bool:
        """Whether the server may keep back what it owes: it sends that at a Sync, Flush or Query.

        Not while a batch is open, since its client sees to that.
        """
        requests = self.requests
        return bool(requests) and requests[-1].kind in _HIDDEN and not self.open_batch

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
        if request is self.latest:
            self.latest = None
        sent = request.sent
        started = sent if sent > self.last_done else self.last_done
        self.last_done = now
        self.answered += 1
        server_us = (now - started) * 1e6
        transfer_us = (now - max(self.first_byte, started)) * 1e6 if self.first_byte else 0.0
        self.first_byte = now  # of what follows in the same chunk
        size = self.passed - self.charged
        self.charged = self.passed
        count = self.finished = request.count or self.scope.count(request.text)
        total_us = request.queue_us + server_us
        count.add(total_us, request.rows, request.received, size)
        count.transfer_us += transfer_us
        if request.queue_us and not request.queued:
            count.queue_us += request.queue_us
        if request.sqlstate:
            count.failed(request.sqlstate)
        if self.block is not None and self.block.opener is not request:
            self.block.ran(count)
        counts = count.scope.counts
        if request.sqlstate or total_us >= counts.least_us:
            run = Run(
                total_us, request.queue_us, transfer_us, request.rows, request.sqlstate,
                self.backend_pid, request.received, size,
            )  # fmt: skip
            counts.note(count, request.text, run)

    def runs(self, request: Request, end: int) -> None:
        """A request is entered that runs something; its messages end there in the chunk."""
        request.received = self.unassigned + end - self.mark
        self.unassigned, self.mark = 0, end
        self.latest, self.ahead = request, False

    def received(self, end: int) -> None:
        """What came behind the last request, up to there, is its own, or of one that is to come."""
        if self.latest is None or self.ahead:
            self.unassigned += end - self.mark
        else:
            self.latest.received += end - self.mark

    def synced(self) -> None:
        """A batch is over: the end of its answer belongs to its last statement."""
        if self.finished is not None:
            self.finished.sent += self.passed - self.charged
            self.charged = self.passed
            self.finished = None

    def read(self, now: float) -> None:
        """A chunk of the server's has been read, as far as `taken`."""
        if not self.requests:
            self.first_byte = 0.0
            if self.block is not None and not self.block.idle_since:
                self.block.idle_since = now
        elif self.charged == self.taken:
            self.first_byte = 0.0

    def mark_block(self, tag: bytes, request: Request, now: float) -> None:
        """A statement is done that begins a transaction block, or ends one, if any is open."""
        if tag in BEGINS:
            if self.block is None:
                request.count = count = request.count or self.scope.count(request.text)
                self.block = Transaction(count.scope, now, request)
                self.block.idle_since = 0.0  # more of the same text may run
        else:
            self.end_block(now, failed=tag == b"ROLLBACK\0")

    def in_block(self, count: Count, now: float) -> None:
        """A lone statement has begun a transaction block."""
        self.block = Transaction(count.scope, now)

    def leave_block(self, sent: float, now: float, *, failed: bool) -> None:
        """A lone statement has ended the block."""
        if self.block is not None:
            self.block.went_on(sent)
            self.end_block(now, failed=failed)

    def end_block(self, now: float, *, failed: bool) -> None:
        """The open transaction, if any, has ended, maybe because somebody was gone."""
        block, self.block = self.block, None
        if block is not None:
            block.over(now, failed)

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
        received = sum(request.received for request in skipped)
        if self.latest in skipped:
            self.latest = None
        for request in skipped:
            if request.kind == EXECUTE or (request.kind == PARSE and request.text):
                request.sqlstate = sqlstate
                request.received = received + (self.unassigned if request.kind == PARSE else 0)
                self.unassigned = 0 if request.kind == PARSE else self.unassigned
                self.finish(request, now)
                return
        self.unassigned += received

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
        self.verdict = self.limited = self.latest = self.finished = None
        self.unassigned = 0
        self.ahead = False
        self.first_byte = 0.0
        self.charged = self.passed = self.taken
        self.status = 0x49
