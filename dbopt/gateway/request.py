"""Requests: what a client asked of its backend, as the ledger keeps it until it is answered."""

from __future__ import annotations

from typing import Final

from dbopt.gateway.scopes import Count
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
PROBE: Final = 12  # sent by the gateway to see what the session holds
# Those from SETTINGS up are the gateway's own: all replies up to ReadyForQuery are hidden.


class Request:
    """One entry. `name` is the client's name of a statement that a Parse makes.

    `work` is what a special text does; `refusal` the error to give instead of the server's.
    `known`: the backend has the statement that a Parse makes anew; `former`: the unnamed statement
    before it. `keys` are what it touches, see Ledger. `timeout` is seconds that the guard lets it
    run, and `max_rows` the rows that it lets it return; 0 for no limit. `returned` are those that
    it has, where they are counted, and `over`: they are more. `received` are bytes of its messages.
    `queue_us` was waited for a backend; `queued`: that is counted already.
    """

    __slots__ = (
        "count", "former", "keys", "kind", "known", "max_rows", "name", "over", "queue_us",
        "queued", "received", "refusal", "returned", "rows", "sent", "sqlstate", "statement",
        "text", "timeout", "work",
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
        self.queued = False
        self.rows = self.received = 0
        self.sqlstate = ""
        self.timeout = 0.0
        self.max_rows = 0
        self.returned = 0
        self.over = False


SYNC_REQUEST: Final = Request(SYNC)
"""Syncs carry nothing, so they share one entry."""
COPY_END_REQUEST: Final = Request(COPY_END)
