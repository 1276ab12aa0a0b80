"""Listeners: the worker's shared listeners, one a database and encoding.

Whoever may connect to a database may listen in it, so a listener connects as the client that
asked last. Clients of another client_encoding have a listener of their own: channels and
payloads reach each in its own encoding, converted by the server.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TypeAlias
from weakref import WeakKeyDictionary, WeakValueDictionary

from dbopt.errors import ConnectError, DboptError
from dbopt.gateway.admission import Admission
from dbopt.gateway.backend import Backend
from dbopt.gateway.limits import Limits
from dbopt.gateway.notify import SharedListener
from dbopt.gateway.routes import Route, route
from dbopt.gateway.target import Target, Targets

_Places: TypeAlias = frozenset[tuple[str, str, int, str]]


class _Seat:
    """A listener's connection among the limits: a backend.Owner.

    It is counted, and not refused: there is one a database, and else LISTEN would work or not
    as the pools happen to be full.
    """

    def __init__(self, limits: Limits, to: Route) -> None:
        self._limits = limits
        self._names = to.database, to.user
        limits.backend_opened(*self._names)

    def connect_failed(self, error: DboptError) -> None:
        """See backend.Owner: who asked is told."""

    def backend_lost(self, backend: Backend) -> None:
        """See backend.Owner."""
        self.leave()

    def leave(self) -> None:
        """The connection is over, or there was none."""
        self._limits.backend_closed(*self._names)


class _Source:
    """Where one listener connects to."""

    def __init__(self, worker: Listeners, database: str, user: str, encoding: str) -> None:
        self._worker = worker
        self._database = database
        self._encoding = encoding
        self.user = user
        self.places: _Places = frozenset()

    def find(self) -> tuple[Route, Targets]:
        """Its route and servers by the settings of this moment. Raises as `route` does."""
        admission = self._worker.admission
        to = route(admission.settings, self._database, self.user)
        return to, admission.servers(to)

    async def connect(self) -> Backend:
        """A connection outside the pools. Raises as Backend.connect and `route` do."""
        to, servers = self.find()
        self.places = _places(servers)
        hosts = tuple(_speaking(host, self._encoding) for host in servers.hosts)
        seat = _Seat(self._worker.limits, to)
        try:
            backend = await Backend.connect(
                owner=seat,
                statements=1,
                timeout=to.connect_timeout,
                targets=replace(servers, hosts=hosts),
            )
        except BaseException:
            seat.leave()
            raise
        if self.places != _places(self.find()[1]):  # a reload came meanwhile
            backend.abort()
            raise ConnectError("The database's server has changed while it was connected to.")
        return backend


class Listeners:
    """See the module.

    A listener is kept by its clients and by its connection: behind a wildcard clients may name
    any database, and those that they named once are not to pile up.
    """

    def __init__(self, admission: Admission, limits: Limits) -> None:
        self.admission = admission
        self.limits = limits
        self._found: WeakValueDictionary[tuple[str, str], SharedListener] = WeakValueDictionary()
        self._closed = False
        self._sources: WeakKeyDictionary[SharedListener, _Source] = WeakKeyDictionary()

    def get(self, database: str, user: str, encoding: str = "UTF8") -> SharedListener:
        """The listener of a database, in the client's words.

        `encoding` is the client's client_encoding, as the server reports it.
        """
        listener = self._found.get((database, encoding))
        if listener is not None:
            self._sources[listener].user = user
            return listener
        source = _Source(self, database, user, encoding)
        patience = self.admission.settings.server.connect_timeout
        name = f'The listener of database "{database}"'
        listener = SharedListener(source.connect, name, patience=patience, closing=self._closed)
        self._found[database, encoding] = listener
        self._sources[listener] = source
        return listener

    def all(self) -> list[SharedListener]:
        """Every listener, connected or not."""
        return list(self._found.values())

    def tick(self, now: float) -> None:
        """Once in a while: see SharedListener.tick."""
        for listener in self.all():
            listener.tick(now)

    def reload(self) -> None:
        """The settings have changed: one whose servers are others by now hears nothing there."""
        for listener in self.all():
            source = self._sources[listener]
            with contextlib.suppress(DboptError):  # a database that is gone serves who is in it
                if _places(source.find()[1]) != source.places:
                    listener.lose("Its database is on another server by now.")

    async def close(self) -> None:
        """Close them all, for good; one that is asked for later is closed too."""
        self._closed = True
        await asyncio.gather(*(listener.close() for listener in self.all()))


def _places(servers: Targets) -> _Places:
    return frozenset((one.host, one.hostaddr, one.port, one.database) for one in servers.hosts)


def _speaking(host: Target, encoding: str) -> Target:
    """The same server, in a client's encoding."""
    startup = (*host.options.startup, ("client_encoding", encoding))
    return replace(host, options=replace(host.options, startup=startup))
