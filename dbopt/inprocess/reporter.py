"""The background thread of a pool: each second it resolves what was counted, keeps and sends it.

It starts with the first statement, sleeps while there is nothing to do, and is a daemon thread:
nothing waits for it longer than a moment. After a fork the child begins anew.
"""

from __future__ import annotations

import atexit
import logging
import os
import weakref
from dataclasses import replace
from threading import Event, RLock, Thread, current_thread

from dbopt.clock import monotonic
from dbopt.inprocess.counting import Counting
from dbopt.inprocess.ledger import Ledger
from dbopt.inprocess.link import Link
from dbopt.inprocess.messages import Welcome
from dbopt.inprocess.resolve import take

log = logging.getLogger("dbopt.inprocess")

_PATIENCE = 0.5
"""Seconds that closing a pool may wait for its thread, for its turn, and for the daemon; the
interpreter's end so long for all pools together."""

_IDLE = 60.0


class Reporter:
    """Takes from `counting` each `interval` seconds. `path`: the daemon's socket; "" for none.

    `own`: the names of the Limits that the application has set, which the daemon's settings do
    not change.
    """

    def __init__(
        self, counting: Counting, path: str = "", name: str = "", own: frozenset[str] = frozenset(),
        interval: float = 1.0,
    ) -> None:  # fmt: skip
        self.counting = counting
        self.interval = interval
        self.name = name
        self._path = path
        self._own = own
        self._closed = self._abandoned = False
        counting.woken, counting.full = self._wake, self._hurry
        self._begin()
        _every.add(self)

    def _begin(self) -> None:
        self._lock, self._sending = RLock(), RLock()
        self._news, self._now = Event(), Event()
        self._thread: Thread | None = None
        self._link = Link(self._path, self.name, self._welcomed) if self._path else None
        self._unsent = Ledger()
        self.total = Ledger()

    @property
    def connected(self) -> bool:
        """Whether the daemon takes reports."""
        return self._link is not None and self._link.connected

    @property
    def lost(self) -> int:
        """Slow statements and repetitions that there was no room for."""
        return self.total.lost

    def _wake(self) -> None:
        """There is something new. Called on a query's way, once an interval."""
        self._news.set()
        if self._thread is None and not self._closed:
            try:
                self._thread = Thread(target=self._run, name="dbopt-reporter", daemon=True)
                self._thread.start()
            except RuntimeError:
                self._closed = True  # The interpreter ends.

    def _hurry(self) -> None:
        if not self._now.is_set():
            self._now.set()

    def _run(self) -> None:
        while not self._closed:
            # With something left to send, the daemon is tried again; else news wake us.
            self._news.wait(self.interval if self._unsent else _IDLE)
            self._now.wait(self.interval)
            self._now.clear()
            self._news.clear()
            try:
                self.flush()
            except Exception as error:
                # The type alone: the words might hold a literal.
                log.warning("what was counted could not be reported: %s", type(error).__name__)
        if self._abandoned:
            self._last(_PATIENCE)

    def collect(self) -> None:
        """Take what was counted, for the totals and for the daemon."""
        with self._lock:
            report = take(self.counting)
            self.total.add(report)
            if self._link is not None:
                self._unsent.add(report)

    def flush(self, timeout: float = 1.0) -> None:
        """Take what was counted, and send what has not been sent."""
        with self._sending:
            self.collect()
            if self._link is None or not self._unsent:
                return
            with self._lock:
                pieces = list(self._unsent.pieces())
                self._unsent.clear()
            # Not under the lock: a slow daemon must not hold up who asks for the totals.
            sent = self._link.send(iter(pieces), timeout)
            with self._lock:
                for piece in pieces[sent:]:
                    self._unsent.add(piece)

    def close(self) -> None:
        """Send the last of it if that is quickly done. What comes later is counted, not sent."""
        if not self._closed:
            self._end()
            self.finish(_PATIENCE)

    def abandon(self) -> None:
        """The pool is garbage: the thread sends the last of it and ends. Waits for nothing.

        Whatever thread the garbage collector interrupts runs this, ours as well.
        """
        if self._closed:
            return
        self._abandoned = self._closed = True
        if current_thread() is not self._thread:
            self._end()  # Else it might hold an event's lock; it looks by itself, see _IDLE.

    def _end(self) -> None:
        self._closed = True
        self._news.set()
        self._now.set()

    def finish(self, patience: float) -> None:
        """Wait for the thread, and send the last; each for `patience` seconds at most."""
        if self._thread is not None and self._thread.is_alive():
            self._thread.join(patience)
        if self._sending.acquire(timeout=patience):
            try:
                self._last(patience)
            finally:
                self._sending.release()

    def _last(self, timeout: float) -> None:
        self.flush(timeout)
        if self._link is not None:
            self._link.close()

    def forked(self) -> None:
        """This is the child of a fork: what was counted is the parent's to report."""
        self.counting.reset()
        link = self._link
        self._begin()
        if link is not None:
            link.close()

    def _welcomed(self, daemon: Welcome) -> None:
        limits = self.counting.limits
        # An application that has set a limit knows better.
        slow_us = limits.slow_us if "slow_us" in self._own else daemon.slow * 1e3
        parameters = limits.parameters if "parameters" in self._own else daemon.parameters
        many = limits.many if "many" in self._own else daemon.n_plus_one
        self.counting.limits = replace(limits, slow_us=slow_us, parameters=parameters, many=many)


_every: weakref.WeakSet[Reporter] = weakref.WeakSet()


def _forked() -> None:
    for reporter in list(_every):
        reporter.forked()


def _at_exit() -> None:
    """Send the last of every pool that was not closed; nobody waits for a daemon that is away."""
    open_ = [reporter for reporter in _every if not reporter._closed or reporter._abandoned]
    for reporter in open_:
        reporter._end()
    deadline = monotonic() + _PATIENCE
    for reporter in open_:
        reporter.finish(max(deadline - monotonic(), 0.01))


# As early as can be, so that it runs late: what others run at the end is counted as well.
atexit.register(_at_exit)

if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forked)
