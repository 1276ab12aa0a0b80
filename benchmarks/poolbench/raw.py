"""A client that costs next to nothing: blocking sockets, replies thrown away unread."""

from __future__ import annotations

import socket
from typing import Self

from dbopt.wire import encode
from dbopt.wire.scan import messages

READY = b"Z\0\0\0\x05I"
TIMEOUT = 60.0


class Failed(Exception):
    """A measurement did not come off: the peer refused, was too late, or answered wrong."""


class Client:
    """A connection that has logged in. `receive_buffer` is SO_RCVBUF in bytes."""

    def __init__(self, port: int, receive_buffer: int = 0) -> None:
        self.socket = socket.socket()
        self.socket.settimeout(TIMEOUT)
        try:
            if receive_buffer:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            self.socket.connect(("127.0.0.1", port))
            self.socket.sendall(encode.startup({"user": "postgres", "database": "postgres"}))
            self._reply()
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def ask(self, sql: str) -> str:
        """The first row's first value of a small query."""
        self.send(sql)
        reply = self._reply()
        for kind, start, _ in messages(reply):
            if kind == ord("D"):
                size = int.from_bytes(reply[start + 7 : start + 11])
                return reply[start + 11 : start + 11 + size].decode()
        raise Failed(f"{sql}: no row in {reply[:200]!r}")

    def send(self, sql: str) -> None:
        self.socket.sendall(encode.query(sql.encode()))

    def _reply(self) -> bytes:
        reply = b""
        while not reply.endswith(READY):
            data = self.socket.recv(65536)
            if not data:
                raise Failed(f"the connection was closed after {reply[:300]!r}")
            reply += data
        return reply


class Result:
    """The big result on its way to `client`: counts its bytes, keeps the last few."""

    def __init__(self, client: Client, rows: int) -> None:
        self._socket = client.socket
        self._buffer = memoryview(bytearray(1 << 20))
        self._tail = b""
        self._rows = rows
        self.received = 0
        client.send(f"SELECT generate_series(1, {rows}) AS n, repeat('x', 1000) AS x")

    def read(self, most: int = 1 << 20) -> int:
        """Receive once; 0 when all has come."""
        if self._tail.endswith(READY):
            return 0
        size = self._socket.recv_into(self._buffer, most)
        if not size:
            raise Failed(f"the connection was closed after {self.received} bytes")
        self.received += size
        self._tail = (self._tail + bytes(self._buffer[max(0, size - 64) : size]))[-64:]
        return size

    def read_all(self) -> int:
        """Receive the rest as fast as it comes; gives the size. Raises Failed if it is wrong."""
        while self.read():
            pass
        tag = f"SELECT {self._rows}\0".encode()
        if self.received != result_size(self._rows) or tag not in self._tail:
            raise Failed(
                f"{self.received} bytes came, {result_size(self._rows)} were expected; "
                f"the last of them: {self._tail!r}"
            )
        return self.received


def result_size(rows: int) -> int:
    """The bytes of `Result`'s reply: RowDescription, DataRows, CommandComplete, ReadyForQuery."""
    numbers = sum(
        digits * (min(rows, 10**digits - 1) - 10 ** (digits - 1) + 1)
        for digits in range(1, len(str(rows)) + 1)
    )
    description = 7 + 2 * (2 + 18)
    data = rows * (7 + 4 + 4 + 1000) + numbers
    return description + data + 5 + len(f"SELECT {rows}\0") + len(READY)
