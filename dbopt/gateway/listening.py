"""Listening: which channels a client listens on, as its transactions commit or roll back.

Pure. LISTEN takes effect when its transaction commits; the shared listener must listen on the
channel before that, or a notification might be missed.
"""

from __future__ import annotations

from dbopt.gateway.special import channel
from dbopt.sql.effects import Effect, SessionStatement


class Listening:
    """`channels` are those of committed transactions; a transaction's own wait in order."""

    __slots__ = ("_steps", "channels")

    def __init__(self) -> None:
        self.channels: frozenset[bytes] = frozenset()
        self._steps: list[tuple[Effect, bytes]] = []

    def note(self, entry: SessionStatement) -> None:
        """A LISTEN, UNLISTEN, DISCARD ALL, SAVEPOINT or ROLLBACK TO has run."""
        name = b"" if entry.every or not entry.names else channel(entry)
        if entry.kind is Effect.ROLLBACK_TO:
            self._roll_back_to(name)
        else:
            self._steps.append((entry.kind, name))

    def _roll_back_to(self, name: bytes) -> None:
        for number in reversed(range(len(self._steps))):
            if self._steps[number] == (Effect.SAVEPOINT, name):
                del self._steps[number + 1 :]
                return

    def settle(self, committed: bool) -> None:
        """The transaction is over."""
        steps, self._steps = self._steps, []
        for kind, name in steps if committed else ():
            if kind is Effect.LISTEN:
                self.channels |= {name}
            elif kind is not Effect.SAVEPOINT:
                self.channels = self.channels - {name} if name else frozenset()
