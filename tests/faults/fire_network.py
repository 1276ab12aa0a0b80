"""A network between a tool and its server that goes silent, or is cut."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Network:
    """Forwards TCP connections to a server on this machine until it is silenced or cut.

    One thread for all. What comes while it is silent is delivered afterwards, as TCP does.
    """

    def __init__(self, port: int) -> None:
        self._to = ("127.0.0.1", port)
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._peers: dict[socket.socket, socket.socket] = {}
        self._loud = threading.Event()
        self._loud.set()
        self._cutting = False
        self._refusing = False
        self._stop = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def silence(self) -> None:
        """Forward nothing any more, and say nothing of it."""
        self._loud.clear()

    def go_on(self) -> None:
        """Forward again, what has come meanwhile first."""
        self._loud.set()

    def cut(self, *, refusing: bool = False) -> None:
        """Reset all connections; `refusing`: and each new one until `go_on`."""
        self._refusing = refusing
        self._cutting = True
        self._loud.set()

    def mend(self) -> None:
        """Refuse nothing any more."""
        self._refusing = False

    def close(self) -> None:
        """End it."""
        self._stop = True
        self._loud.set()
        self._thread.join()
        self._drop_all()
        self._listener.close()
        self._selector.close()

    def _run(self) -> None:
        self._selector.register(self._listener, selectors.EVENT_READ)
        while not self._stop:
            ready = self._selector.select(0.02)
            self._loud.wait()
            if self._cutting:
                self._drop_all()
                self._cutting = False
                continue
            for key, _ in ready:
                one = key.fileobj
                assert isinstance(one, socket.socket)
                if one is self._listener:
                    self._accept()
                elif one in self._peers:
                    self._forward(one)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        try:
            if self._refusing:
                raise ConnectionRefusedError
            server = socket.create_connection(self._to)
        except OSError:
            client.close()
            return
        self._peers |= {client: server, server: client}
        for one in (client, server):
            self._selector.register(one, selectors.EVENT_READ)

    def _forward(self, one: socket.socket) -> None:
        data = b""
        with suppress(OSError):
            data = one.recv(1 << 16)
            self._peers[one].sendall(data)
        if not data:
            self._drop(one)

    def _drop(self, one: socket.socket) -> None:
        other = self._peers.pop(one, None)
        for end in (one, other):
            if end is not None:
                self._peers.pop(end, None)
                with suppress(KeyError, ValueError):
                    self._selector.unregister(end)
                end.close()

    def _drop_all(self) -> None:
        for one in list(self._peers):
            self._drop(one)


@contextmanager
def network(port: int) -> Iterator[Network]:
    """A network to the server at that port."""
    made = Network(port)
    try:
        yield made
    finally:
        made.close()
