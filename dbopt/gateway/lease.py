"""Lease: a client's hold of a backend, from the first message of a transaction to its end.

What the client's session needs is brought to the backend at the start. At the end the backend is
given back, unless the client is pinned: then the session holds what others must not find.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from dbopt.clock import Clock
from dbopt.errors import DboptError
from dbopt.gateway.backend import Backend
from dbopt.gateway.counts import Counts
from dbopt.gateway.express import Express
from dbopt.gateway.holdings import Holdings
from dbopt.gateway.listening import Listening
from dbopt.gateway.multiplexer import Pool
from dbopt.gateway.request import PROBE, SETTINGS
from dbopt.gateway.scopes import Scope
from dbopt.gateway.session import after_reset, change, reported, tracked
from dbopt.gateway.special import End
from dbopt.sql.effects import Effect
from dbopt.wire.types import IDLE

_LISTENS = frozenset((Effect.LISTEN, Effect.UNLISTEN))
_PLACES = frozenset((Effect.SAVEPOINT, Effect.ROLLBACK_TO))


class Listener(Protocol):
    """The one that listens for all clients of a database, see notify.SharedListener."""

    def subscribe(
        self, subscriber: Subscriber, channel: bytes, done: Callable[[DboptError | None], None]
    ) -> None:
        """Calls `done` when the server has confirmed that it listens, or with why it does not."""

    def unsubscribe(self, subscriber: Subscriber, channel: bytes | None = None) -> None:
        """No more of that channel; None: of any."""


class Subscriber(Protocol):
    """Who is told of notifications."""

    def notified(self, message: bytes) -> None:
        """A whole NotificationResponse, as the server sent it."""

    def listener_lost(self, error: DboptError) -> None:
        """Notifications may have been missed."""


class Gate(Protocol):
    """The part of the worker that a relay sees."""

    counts: Counts
    draining: bool

    def bad_protocol(self) -> None:
        """A client did not speak the protocol."""

    def listener(self, database: str, user: str, encoding: str) -> Listener:
        """The one that listens for all clients of a database."""


class Owner(Protocol):
    """The client that is relayed."""

    @property
    def gate(self) -> Gate:
        """The worker."""

    def left(self) -> None:
        """The connection is over."""


class Lease(Express):
    """See the module. It is the part of a Relay that holds a backend and lets it go.

    `_goodbye`: the client has said Terminate, and gets what is still in flight. `_pending`: a
    special statement ran, and its transaction is not over. `_in_lane`: it runs heavy statements,
    see lane.py; meanwhile nothing goes the express way, so that every end of it is seen.
    """

    __slots__ = (
        "_cancel_wanted", "_client", "_goodbye", "_holdings", "_in_lane", "_listener", "_listening",
        "_pending", "_session", "_startup",
    )  # fmt: skip

    def __init__(
        self, client: Owner, pool: Pool, scope: Scope, settings: dict[str, str], clock: Clock
    ) -> None:
        super().__init__(pool, scope, settings, clock)
        self._client = client
        self._startup = settings
        self._cancel_wanted = False
        self._goodbye = False
        self._in_lane = False
        self._pending = False
        self._holdings: Holdings | None = None
        self._listening: Listening | None = None
        self._listener: Listener | None = None
        route = pool.route
        self._session = self._kept = route.mode == "session"
        self._upstream.shared_listen = not self._session
        self._upstream.refuse = route.unshareable == "refuse" and not self._session

    @property
    def pinned(self) -> str:
        """Why the client keeps its backend, in a word or some; "" where it does not."""
        held = self._holdings
        return ",".join(sorted(held.pins)) if held is not None and self._kept else ""

    def _begin_lease(self, backend: Backend, out: list[bytes]) -> None:
        """What the backend is sent before the client's first message."""
        self._fresh = False
        if backend.settings is not self._settings:
            out.append(self._bring_settings(backend))
        out.extend(self._upstream.begin(backend.prepared))

    def _bring_settings(self, backend: Backend) -> bytes:
        """What gives the backend the client's settings; b"" where nothing does."""
        message = change(backend.settings, self._settings)
        if message:
            self._ledger.hide(SETTINGS)
            backend.prepared.unnamed = None  # any simple Query ends it
        backend.settings = self._settings
        return message

    @property
    def _in_flight(self) -> bool:
        ledger = self._ledger
        return bool(
            ledger.ends or ledger.open_batch or ledger.requests or self._upstream.pass_bytes
        )

    def _done_with(self, backend: Backend) -> None:
        """Nothing is in flight and no transaction is open."""
        if backend.downstream.fatal:
            if self._kept or self._pending:
                self.server_lost()  # with what its session held
                return
            # The server ends a connection that owes the client nothing: it need not know.
            self._account()
            self._give_up(backend)
        elif self._pending and self._settle(backend):
            return  # the server is asked first
        elif self._kept:
            self._account()
            self._leave_lane()
            backend.downstream.reset_read()
            self._upstream.at_rest()
            self._quiet = not self._rest
        else:
            self._let_go(backend)

    def _restore_settings(self, backend: Backend, held: Holdings) -> bool:
        """A RESET led to what the backend began with; the client began with something else.

        Whether the backend is told. At once: what the client sends next must find it so.
        """
        own = {name: value for name, value in self._startup.items() if name in held.resets}
        held.resets.clear()
        if own:
            known = backend.settings
            backend.settings = {name: value for name, value in known.items() if name not in own}
            self._settings = self._pool.canonical({**self._settings, **own})
        elif not self._kept:
            return False  # it is brought to whichever backend comes next
        message = b"" if backend.settings is self._settings else self._bring_settings(backend)
        if message:
            backend.transport.write(message)
        return bool(message)

    def _let_go(self, backend: Backend) -> None:
        """The transaction is over: others may have the backend."""
        self._account()
        self._detach(backend)
        backend.status = IDLE
        backend.downstream.reset_read()
        self._retire_spoilt(backend)
        if self._write_paused:
            backend.transport.resume_reading()
        self._pool.release(backend, self._clock())

    def _retire_spoilt(self, backend: Backend) -> None:
        """Nobody else must have a backend that the client has spoilt, see Upstream._fence."""
        if self._upstream.spoilt:
            self._upstream.spoilt = False
            backend.retire()

    def _detach(self, backend: Backend) -> None:
        self.backend = backend.holder = None
        self._leave_lane()
        self._cancel_wanted = False
        self._quiet = not self._rest
        # It may have been paused for a backend whose buffer is full: nobody tells it any more.
        self.resume_reading()

    def _leave_lane(self) -> None:
        if self._in_lane:
            self._in_lane = False
            self._pool.leave_lane()

    def _give_up(self, backend: Backend, *, cancel_first: bool = False) -> None:
        """The backend cannot be used any more, and what the session held is gone with it."""
        self._kept = self._session
        self._pending = self._upstream.paced = False
        self._holdings = None
        self._detach(backend)
        self._pool.discard(backend, cancel_first=cancel_first)

    def _account(self) -> None:
        pool, ledger = self._pool, self._ledger
        pool.transactions += ledger.transactions
        pool.statements += ledger.answered
        ledger.transactions = ledger.answered = 0
        ledger.verdict = None

    # What the session holds

    def _happened(self, backend: Backend) -> None:
        """Special statements have run: what matters of them is known when all is over."""
        happened = self._upstream.happened
        held = self._holdings
        if held is None:
            held = self._holdings = Holdings(self._pool.route.track_settings)
        names = self._reported(backend)
        for step in happened:
            if isinstance(step, End):
                self._transaction_over(held, step)
                continue
            kind = step.entry.kind
            if kind in _LISTENS or kind in _PLACES or (kind is Effect.DISCARD and step.entry.every):
                self._channels.note(step.entry)
            if kind not in _LISTENS or self._session:
                held.note(step.entry, names)
        happened.clear()
        self._pending = True
        self._quiet = False

    def _transaction_over(self, held: Holdings, end: End) -> None:
        if self._listening is not None:
            self._listening.settle(end.committed)
        if end.explicit or not end.committed:
            held.reset_undone()
        if not end.committed:
            held.resets.clear()

    @property
    def _channels(self) -> Listening:
        if self._listening is None:
            self._listening = Listening()
        return self._listening

    def _reported(self, backend: Backend) -> frozenset[str]:
        return frozenset(map(str.lower, backend.parameters))

    def _settle(self, backend: Backend) -> bool:
        """The transaction is over: whether the server is asked what the session holds now."""
        self._pending = False
        if self._listening is not None:
            self._unsubscribe(self._upstream.subscribed - self._listening.channels)
        held = self._holdings
        if held is None:
            return False
        restoring = self._restore_settings(backend, held)
        if self._session or not held.suspect:
            return restoring
        self._ledger.hide(PROBE)
        backend.prepared.unnamed = None  # any simple Query ends it
        backend.transport.write(held.probe(backend.target.user))
        return True

    def _judge(self, backend: Backend) -> None:
        """The server has told what the session holds."""
        rows, backend.downstream.probed = backend.downstream.probed, None
        held = self._holdings
        if held is None or rows is None:
            return
        before = held.pins
        found = held.judge(rows, self._settings, self._reported(backend))
        if found != self._settings:
            self._settings = self._pool.canonical(found)
        backend.settings = self._settings
        if self._pool.route.unshareable == "allow":
            return
        self._kept = bool(held.pins)
        if self._kept and not before:
            self._pool.pins += 1

    def _unsubscribe(self, channels: set[bytes]) -> None:
        for name in channels:
            self._upstream.subscribed.discard(name)
            if self._listener is not None:
                self._listener.unsubscribe(self, name)

    def _settings_changed(self, backend: Backend) -> None:
        """The server reported settings: the client's own SET, or what the gateway applied."""
        downstream = backend.downstream
        mine = tracked(dict(downstream.settings))
        downstream.settings.clear()
        wanted = after_reset(mine, backend.parameters, self._startup) if downstream.reset else mine
        if downstream.reset_all:
            backend.settings = {**reported(backend.settings, backend.parameters), **mine}
            kept = reported(self._settings, backend.parameters)
            own = {n: v for n, v in self._startup.items() if n not in backend.parameters}
            self._settings = self._pool.canonical({**kept, **own, **wanted})
        elif wanted != mine or any(self._settings.get(n) != value for n, value in mine.items()):
            self._settings = self._pool.canonical({**self._settings, **wanted})
            backend.settings = {**self._settings, **mine} if wanted != mine else self._settings
        if downstream.reset_over:
            downstream.reset_read()
        if "application_name" in wanted:
            scope = self._ledger.scope
            self._scope = self._ledger.scope = self._client.gate.counts.scope(
                scope.database, scope.user, wanted["application_name"]
            )
            self.application = self._scope.application

    def notified(self, message: bytes) -> None:
        """See notify.Subscriber."""
        raise NotImplementedError

    def listener_lost(self, error: DboptError) -> None:
        """See notify.Subscriber."""
        raise NotImplementedError
