"""A cheap raw-protocol client for the soak: what it sends, and exactly what must come back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from time import monotonic

from dbopt.wire import encode
from dbopt.wire import messages as m
from dbopt.wire.scan import messages as scan
from tests.integration.gateway_support import Message, fields, query

PARSED, BOUND, NO_DATA, CLOSED, SUSPENDED = (
    (b"1", b""), (b"2", b""), (b"n", b""), (b"3", b""), (b"s", b""),
)  # fmt: skip
FAULTS = frozenset(
    ("57P01", "57P02", "57P03", "57014", "08006", "08001", "08003", "53300", "40P01", "25P02")
)
"""What a client may be told because of what the soak does to it."""


class Wrong(Exception):
    """A reply is not what it must be."""


class Fault(Exception):
    """The expected misfortune: an error of FAULTS. `sqlstate` names it."""

    def __init__(self, sqlstate: str, status: str) -> None:
        super().__init__(sqlstate)
        self.sqlstate = sqlstate
        self.status = status


class Lost(Exception):
    """The connection ended. `sqlstate` is that of the last error, "" where it was cut in a row."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


@dataclass
class Batch:
    """What ends with one ReadyForQuery: the bytes, the replies, the error that ends them.

    `hears` is the payload of a notification that comes then or later.
    """

    send: bytes
    expect: list[Message] = field(default_factory=list)
    sqlstate: str = ""
    status: str = "I"
    hears: bytes = b""


def row(*values: str | None) -> Message:
    data = tuple(None if value is None else value.encode() for value in values)
    return b"D", m.DataRow(data).encode()[5:]


def tag(text: str) -> Message:
    return b"C", text.encode() + b"\0"


COLUMNS: Message = (b"T", b"")
"""A RowDescription, whatever it says."""


def simple(sql: str, *expect: Message, sqlstate: str = "", status: str = "I") -> Batch:
    return Batch(query(sql), list(expect), sqlstate, status)


class Wire(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self.found: list[Message] = []
        self.rest = b""
        self.ready = 0
        self.ended = False
        self.asked_at = 0.0
        self.sent = b""
        self.tag = b""
        self.notified: set[bytes] = set()
        self.stray: list[bytes] = []
        self.pid = 0
        self.secret = b""
        self._waiting: asyncio.Future[None] | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment] # uvloop's is no asyncio.Transport

    def data_received(self, data: bytes) -> None:
        if self.rest:
            data = self.rest + data
        position = 0
        for kind, start, end in scan(data):
            position = end
            if kind == 0x41:
                self._notified(data[start + 9 : end])
            elif kind not in b"NS":
                self.found.append((data[start : start + 1], data[start + 5 : end]))
                self.ready += kind == 0x5A
        self.rest = data[position:]
        if self.ready:
            self._wake()

    def _notified(self, data: bytes) -> None:
        """Each notification is the client's own, and comes once."""
        payload = data.split(b"\0")[1]
        if payload in self.notified or not payload.startswith(self.tag + b"/"):
            self.stray.append(payload)
        self.notified.add(payload)
        self._wake()

    async def hears(self, payload: bytes) -> None:
        """Wait for a notification. Lost at the end of the stream."""
        self.asked_at = monotonic()
        while payload not in self.notified:
            if self.ended:
                raise Lost(self._last_words())
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        self.asked_at = 0.0

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def turn(self) -> list[Message]:
        """The messages up to the next ReadyForQuery. Lost at the end of the stream."""
        self.asked_at = monotonic()
        while not self.ready:
            if self.ended:
                raise Lost(self._last_words())
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        self.asked_at = 0.0
        self.ready -= 1
        end = next(i for i, (kind, _) in enumerate(self.found) if kind == b"Z") + 1
        found, self.found = self.found[:end], self.found[end:]
        return found

    def _last_words(self) -> str:
        """The SQLSTATE with which it ended. Wrong where whole messages end without a word."""
        if self.found and self.found[-1][0] == b"E":
            return fields(self.found[-1])["C"]
        if not self.rest and self.found and self.found[-1][0] != b"D":
            raise Wrong(f"the connection ended without an error, after {self.found[-2:]}")
        return ""

    async def login(self, **parameters: str) -> None:
        self.tag = parameters["application_name"].encode()
        self.transport.write(encode.startup(parameters))
        for kind, payload in await self.turn():
            if kind == b"K":
                self.pid, self.secret = int.from_bytes(payload[:4]), payload[4:]
            elif kind == b"E":
                raise Fault(fields((kind, payload))["C"], "")

    async def ask(self, *batches: Batch) -> None:
        """Send them all at once; check the replies one by one. Raises Fault, Lost or Wrong."""
        self.idle()
        self.sent = b"".join(batch.send for batch in batches)
        self.write(self.sent)
        faults = [fault for batch in batches if (fault := check(batch, await self.turn()))]
        if faults:
            self.idle()
            raise faults[-1]
        for batch in batches:
            if batch.hears:
                await self.hears(batch.hears)
        self.idle()

    def write(self, data: bytes) -> None:
        """Send; who is not listened to any more reads why."""
        if not self.ended:  # uvloop's transport raises
            self.transport.write(data)

    def idle(self) -> None:
        """Check that nothing has come that nobody asked for."""
        if self.found and self.found[0][0] != b"E":
            raise Wrong(f"came unasked: {self.found[:3]}")
        if self.stray:
            raise Wrong(f"heard twice, or what is another's: {self.stray[:3]}")


def check(batch: Batch, found: list[Message]) -> Fault | None:
    """Compare; gives the fault that ended the batch early, if one did."""
    *replies, (_, status) = found
    for position, reply in enumerate(replies):
        if reply[0] == b"E":
            return _check_error(batch, found, position)
        if position >= len(batch.expect) or not _same(batch.expect[position], reply):
            raise Wrong(_difference(batch, found, position))
    if batch.sqlstate or len(replies) != len(batch.expect):
        raise Wrong(_difference(batch, found, len(replies)))
    if batch.status != status.decode():
        raise Wrong(f"status {status!r}, not {batch.status}, after {batch.send[:80]!r}")
    return None


def _check_error(batch: Batch, found: list[Message], position: int) -> Fault | None:
    sqlstate = fields(found[position])["C"]
    if position != len(found) - 2:
        raise Wrong(_difference(batch, found, position + 1))
    if sqlstate == batch.sqlstate and position == len(batch.expect):
        return None
    if sqlstate in FAULTS:
        return Fault(sqlstate, found[-1][1].decode())
    raise Wrong(_difference(batch, found, position))


def _same(expected: Message, reply: Message) -> bool:
    return expected == reply or (expected == COLUMNS and reply[0] == b"T")


def _difference(batch: Batch, found: list[Message], position: int) -> str:
    expected = batch.expect[position : position + 2] or batch.sqlstate or "the end"
    came = [(kind, payload[:120]) for kind, payload in found[position : position + 2]]
    return f"reply {position} to {batch.send[:100]!r}: expected {str(expected)[:300]}, came {came}"
