"""A tap: a proxy between the gateway and PostgreSQL that listens, holds back and makes up."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dbopt.wire.scan import messages as scan
from tests.integration.gateway_support import Message

CANCEL = b"\x04\xd2\x16\x2e"
"""The code of a CancelRequest, 1234 and 5678."""

Edit = Callable[[bytes], bytes]


class Link:
    """One connection of the gateway to the server, and all that the gateway sent on it."""

    def __init__(self, gateway: socket.socket, server: socket.socket, first: bytes) -> None:
        self.gateway = gateway
        self.server = server
        self.first = first
        self.sent = bytearray()
        self.closed = threading.Event()

    @property
    def is_cancel(self) -> bool:
        return self.first[4:8] == CANCEL

    @property
    def messages(self) -> list[Message]:
        """What the gateway sent after its startup packet."""
        data = bytes(self.sent)
        return [(data[start : start + 1], data[start + 5 : end]) for _, start, end in scan(data)]

    @property
    def queries(self) -> list[str]:
        """The texts of its simple queries."""
        return [payload[:-1].decode() for kind, payload in self.messages if kind == b"Q"]

    def inject(self, data: bytes) -> None:
        """Send as if the server did."""
        self.gateway.sendall(data)

    def cut(self) -> None:
        """End the connection on both sides."""
        for side in (self.gateway, self.server):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)


class Tap:
    """Listens at `dsn` and passes all on to the server of the dsn that it was made of.

    Clear `cancels` or `replies` to hold back CancelRequests, or what the server answers.
    `edit` changes what the server answers, chunk by chunk; `greet` answers a connection in the
    server's stead if it gives anything.
    """

    def __init__(self, dsn: str) -> None:
        parts = conninfo_to_dict(dsn)
        self._target = str(parts["host"]), int(str(parts["port"]))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.links: list[Link] = []
        self.cancels = threading.Event()
        self.replies = threading.Event()
        self.edit: Edit = bytes
        self.greet: Callable[[], bytes] = bytes
        self.cancels.set()
        self.replies.set()
        self._threads: list[threading.Thread] = []
        self.dsn = make_conninfo(
            dsn, host="127.0.0.1", port=self._listener.getsockname()[1], sslmode="disable",
            gssencmode="disable",
        )  # fmt: skip
        self._spawn(self._accept)

    @property
    def backends(self) -> list[Link]:
        """The connections that are there and no CancelRequests."""
        return [link for link in list(self.links) if not (link.is_cancel or link.closed.is_set())]

    def link_of(self, text: str) -> Link:
        """The connection on which that simple query was sent last."""
        return [link for link in self.backends if text in link.queries][-1]

    @property
    def cancelled(self) -> list[Link]:
        """The CancelRequests that came."""
        return [link for link in list(self.links) if link.is_cancel]

    def close(self) -> None:
        self.cancels.set()
        self.replies.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        for link in self.links:
            link.cut()
        for thread in self._threads:
            thread.join(10.0)
        self._listener.close()

    def _spawn(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, name="tap")
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._spawn(self._serve, self._listener.accept()[0])

    def _serve(self, gateway: socket.socket) -> None:
        with gateway, contextlib.suppress(OSError):
            gateway.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            size = gateway.recv(4, socket.MSG_WAITALL)
            first = size + gateway.recv(int.from_bytes(size) - 4, socket.MSG_WAITALL)
            if said := self.greet():
                gateway.sendall(said)
                return
            with socket.create_connection(self._target) as server:
                link = Link(gateway, server, first)
                self.links.append(link)
                if link.is_cancel:
                    self.cancels.wait()
                server.sendall(first)
                self._spawn(self._up, link)
                self._down(link)

    def _up(self, link: Link) -> None:
        with contextlib.suppress(OSError):
            while data := link.gateway.recv(1 << 16):
                link.sent += data
                link.server.sendall(data)
        link.cut()

    def _down(self, link: Link) -> None:
        try:
            while data := link.server.recv(1 << 16):
                self.replies.wait()
                if changed := self.edit(data):
                    link.gateway.sendall(changed)
        finally:
            link.closed.set()
            link.cut()


@contextmanager
def tapped(dsn: str) -> Iterator[Tap]:
    tap = Tap(dsn)
    try:
        yield tap
    finally:
        tap.close()
