"""A client that sends damaged messages to a live gateway, and what must come of it."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from dbopt.errors import ProtocolError
from dbopt.gateway.framing import KNOWN
from dbopt.wire import encode, types
from dbopt.wire import messages as m
from dbopt.wire.scan import messages as scan
from tests.fuzz.mutate import pieces

DEADLINE = 30.0
"""Seconds within which whoever sends whole messages, or garbage, has his answer or is closed."""
Message = tuple[int, bytes]


@dataclass(frozen=True)
class Address:
    """Where the gateway listens, and whom to be there."""

    host: str
    port: int
    parameters: dict[str, str]

    @property
    def startup(self) -> bytes:
        return encode.startup(self.parameters)


class Stream:
    """A connection that keeps all that comes; `ended` is set at its end.

    On plain sockets: a transport of asyncio that cannot write any more does not read what the
    gateway said before it closed.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.found: list[Message] = []
        self.ended = False
        self.broken = ""
        self._rest = b""
        self._sock = sock
        self._news = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        with suppress(OSError):
            while data := await loop.sock_recv(self._sock, 1 << 16):
                self._received(self._rest + data)
        self.ended = True
        self._news.set()

    def _received(self, data: bytes) -> None:
        position = 0
        try:
            for kind, start, end in scan(data):
                self.found.append((kind, data[start + 5 : end]))
                position = end
        except ProtocolError as error:
            self.broken = str(error)
        self._rest = data[position:]
        self._news.set()

    @property
    def within(self) -> bool:
        """Whether a part of a message has come: then no error can be told."""
        return bool(self._rest)

    async def send(self, data: bytes) -> None:
        """Send; who is not listened to any more goes on to read."""
        with suppress(OSError):
            await asyncio.get_running_loop().sock_sendall(self._sock, data)

    def send_end(self) -> None:
        """No more will be sent."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    async def until(self, done: Callable[[], bool]) -> bool:
        """Wait for that; False if the stream ends before."""
        while not done():
            if self.ended or self.broken:
                return False
            self._news.clear()
            await self._news.wait()
        return True

    async def until_kind(self, kind: int) -> bool:
        """Wait for a message of that type; False if the stream ends before."""
        return await self.until(lambda: any(message[0] == kind for message in self.found))

    async def until_end(self) -> None:
        await self.until(lambda: False)

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        self._sock.close()


async def opened(address: Address) -> Stream:
    sock = socket.socket()
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    await asyncio.get_running_loop().sock_connect(sock, (address.host, address.port))
    return Stream(sock)


def verdict(data: bytes) -> str:
    """What must come of a client's stream: "answer", "close", or "wait" for the rest of it."""
    position = 0
    while position < len(data):
        kind = data[position]
        if kind not in KNOWN:
            return "close"
        header = data[position + 1 : position + 5]
        if len(header) < 4:
            return "wait"
        length = int.from_bytes(header, signed=True)
        if not 4 <= length <= types.max_frontend_length(kind):
            return "close"
        if kind == types.F_TERMINATE or position + 1 + length > len(data):
            return "wait"
        position += 1 + length
    return "answer"


def probe(number: int) -> tuple[bytes, bytes]:
    """What brings any session to rest and asks for a mark; and the DataRow to come."""
    mark = b"mark-%d" % number
    end = m.CopyFail(b"enough").encode() + m.Sync().encode() + encode.query(b"ROLLBACK")
    return end + encode.query(b"SELECT '%s'" % mark), m.DataRow((mark,)).encode()[5:]


@dataclass
class Outcome:
    """How a case ended."""

    number: int
    messages: int
    expected: str
    wrong: str = ""
    ended: str = ""
    sqlstates: list[str] = field(default_factory=list)


async def attack(
    address: Address, number: int, chance: random.Random, data: list[bytes]
) -> Outcome:
    """Log in, send `data` in pieces, and see that it is answered or closed in time."""
    whole = b"".join(data)
    outcome = Outcome(number, len(data), verdict(whole))
    stream = await opened(address)
    try:
        async with asyncio.timeout(DEADLINE):
            await stream.send(address.startup)
            if not await stream.until_kind(types.B_READY_FOR_QUERY):
                outcome.wrong = f"no welcome: {stream.found[-1:]}"
                return outcome
            await _play(stream, outcome, whole, chance)
    except TimeoutError:
        outcome.wrong = f"neither answer nor close in time; the last came {stream.found[-3:]}"
    finally:
        await stream.close()
    _judge(stream, outcome)
    return outcome


async def _play(stream: Stream, outcome: Outcome, whole: bytes, chance: random.Random) -> None:
    welcome = len(stream.found)
    for piece in pieces(chance, whole):
        await stream.send(piece)
        if chance.random() < 0.2:
            await asyncio.sleep(0)
    ask, row = probe(outcome.number)
    if outcome.expected == "answer":
        await stream.send(ask)
        if await stream.until(lambda: (types.B_DATA_ROW, row) in stream.found[welcome:]):
            outcome.ended = "answered"
            return
    elif outcome.expected == "wait":
        stream.send_end()
    await stream.until_end()
    outcome.ended = "closed"


def _judge(stream: Stream, outcome: Outcome) -> None:
    errors = [m.ErrorResponse.parse(payload) for kind, payload in stream.found if kind == 0x45]
    outcome.sqlstates = [error.fields.get("C", b"").decode() for error in errors]
    if outcome.wrong:
        return
    if stream.broken or any(len(code) != 5 for code in outcome.sqlstates):
        outcome.wrong = f"unreadable: {stream.broken} {outcome.sqlstates}"
    elif outcome.ended == "closed" and outcome.expected != "wait" and not stream.within:
        last = stream.found[-1][0] if stream.found else 0
        if last != types.B_ERROR or errors[-1].severity != "FATAL":
            outcome.wrong = f"closed without a FATAL error; the last came {stream.found[-3:]}"


async def canary(address: Address, stop: asyncio.Event) -> int:
    """A client that behaves: gives how many right answers it got. AssertionError otherwise."""
    stream = await opened(address)
    asked = 0
    await stream.send(address.startup)
    async with asyncio.timeout(DEADLINE):
        assert await stream.until_kind(types.B_READY_FOR_QUERY)
    while not (asked and stop.is_set()):
        asked += 1
        stream.found.clear()
        text = b"canary %d" % asked
        async with asyncio.timeout(DEADLINE):
            await stream.send(encode.query(b"SELECT '%s'" % text))
            assert await stream.until_kind(types.B_READY_FOR_QUERY), stream.found
        kinds = bytes(kind for kind, _ in stream.found if kind not in b"NS")
        row = [payload for kind, payload in stream.found if kind == types.B_DATA_ROW]
        assert (b"TDCZ", [m.DataRow((text,)).encode()[5:]]) == (kinds, row), stream.found
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 0.02)
    await stream.send(encode.terminate())
    await stream.until_end()
    await stream.close()
    return asked


async def knock(address: Address, number: int, chance: random.Random, data: list[bytes]) -> Outcome:
    """Send `data` from the first byte on, then nothing: an answer or the end must come."""
    outcome = Outcome(number, len(data), "login")
    stream = await opened(address)
    try:
        async with asyncio.timeout(DEADLINE):
            for piece in pieces(chance, b"".join(data)):
                await stream.send(piece)
            stream.send_end()
            await stream.until_end()
            outcome.ended = "closed"
    except TimeoutError:
        outcome.wrong = f"not closed in time; the last came {stream.found[-3:]}"
    finally:
        await stream.close()
    errors = [m.ErrorResponse.parse(payload) for kind, payload in stream.found if kind == 0x45]
    outcome.sqlstates = [error.fields.get("C", b"").decode() for error in errors]
    return outcome
