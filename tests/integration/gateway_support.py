"""A client that speaks raw bytes, and the messages that it needs."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg.conninfo import conninfo_to_dict

from dbopt.wire import encode
from dbopt.wire import messages as m
from dbopt.wire.scan import messages as scan

TIMEOUT = 10.0
Message = tuple[bytes, bytes]
"""The type and the payload."""

SYNC = m.Sync().encode()
FLUSH = m.Flush().encode()
COPY_DONE = m.CopyDone().encode()


def query(sql: str) -> bytes:
    return m.Query(sql.encode()).encode()


def parse(sql: str, name: str = "", oids: tuple[int, ...] = ()) -> bytes:
    return m.Parse(name.encode(), sql.encode(), oids).encode()


def bind(*values: str | None, name: str = "", portal: str = "") -> bytes:
    data = tuple(None if value is None else value.encode() for value in values)
    return m.Bind(portal.encode(), name.encode(), (), data, ()).encode()


def execute(portal: str = "", rows: int = 0) -> bytes:
    return m.Execute(portal.encode(), rows).encode()


def describe(kind: str, name: str = "") -> bytes:
    return m.Describe(ord(kind), name.encode()).encode()


def close(kind: str, name: str = "") -> bytes:
    return m.Close(ord(kind), name.encode()).encode()


def copy_data(data: bytes) -> bytes:
    return m.CopyData(data).encode()


def run(sql: str, *values: str | None, name: str = "") -> bytes:
    """Parse, Bind, Describe and Execute, without a Sync."""
    return parse(sql, name) + bind(*values, name=name) + describe("P") + execute()


class Raw:
    """A connection. Everything that it reads has a deadline."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(TIMEOUT)
        self.socket = sock
        self.pid = 0
        self.secret = b""
        self._buffer = bytearray()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send_bytewise(self, data: bytes, size: int = 1) -> None:
        for start in range(0, len(data), size):
            self.socket.sendall(data[start : start + size])

    def _more(self) -> bool:
        data = self.socket.recv(1 << 18)
        self._buffer += data
        return bool(data)

    def read(self) -> Message | None:
        """The next message; None at the end of the stream."""
        while True:
            for kind, start, end in scan(self._buffer):
                message = bytes([kind]), bytes(self._buffer[start + 5 : end])
                del self._buffer[:end]  # costs nothing: a bytearray keeps where it begins
                return message
            if not self._more():
                assert not self._buffer, f"the stream ended inside a message: {self._buffer!r}"
                return None

    def until(
        self, kinds: bytes, count: int = 1, found: list[Message] | None = None
    ) -> list[Message]:
        """All messages up to the `count`th of one of these types, or to the end.

        They are added to `found`, which has them even if the connection is then reset.
        """
        found = [] if found is None else found
        while count and (message := self.read()) is not None:
            found.append(message)
            count -= message[0] in kinds
        return found

    def ask(self, data: bytes, ready: int = 1) -> list[Message]:
        """Send, and read up to that many ReadyForQuery."""
        self.send(data)
        return self.until(b"Z", ready)

    def rest(self) -> list[Message]:
        """All messages up to the end of the stream."""
        return self.until(b"", 1)

    def login(self, **parameters: str) -> list[Message]:
        self.send(encode.startup(parameters))
        greeting = self.until(b"Z")
        for kind, payload in greeting:
            if kind == b"K":
                self.pid, self.secret = int.from_bytes(payload[:4]), payload[4:]
        return greeting


def cancel(host: str, port: int, raw: Raw) -> None:
    """Send a CancelRequest for what `raw` runs; returns when it was taken."""
    with socket.create_connection((host, port), TIMEOUT) as sock:
        sock.sendall(encode.cancel_request(raw.pid, raw.secret))
        assert sock.recv(1) == b""


@contextmanager
def connected(host: str, port: int) -> Iterator[Raw]:
    """A connection that has said nothing yet."""
    with socket.create_connection((host, port), TIMEOUT) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield Raw(sock)


@contextmanager
def raw_client(dsn: str, **parameters: str) -> Iterator[Raw]:
    """A connection that has logged in."""
    parts: dict[str, Any] = conninfo_to_dict(dsn)
    with connected(str(parts["host"]), int(parts["port"])) as raw:
        names = {"user": str(parts["user"]), "database": str(parts["dbname"])}
        greeting = raw.login(**names, **parameters)
        assert greeting[-1] == (b"Z", b"I"), greeting
        yield raw


def fields(message: Message) -> dict[str, str]:
    """The fields of an ErrorResponse or NoticeResponse."""
    return {k: v.decode() for k, v in m.ErrorResponse.parse(message[1]).fields.items()}


def sqlstates(found: list[Message]) -> list[str]:
    return [fields(message)["C"] for message in found if message[0] == b"E"]


def rows(found: list[Message]) -> list[tuple[bytes | None, ...]]:
    return [m.DataRow.parse(payload).values for kind, payload in found if kind == b"D"]


def shape(found: list[Message]) -> str:
    """The types in order, such as "TDCZ"."""
    return b"".join(kind for kind, _ in found).decode()


def wait_closed(raw: Raw, timeout: float = TIMEOUT) -> None:
    deadline = time.monotonic() + timeout
    while raw.read() is not None:
        assert time.monotonic() < deadline
