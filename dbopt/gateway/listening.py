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
        self._steps: list[tuple[bool, bytes]] = []

    def note(self, entry: SessionStatement) -> None:
        """A LISTEN, UNLISTEN or DISCARD ALL has run."""
        if entry.every or not entry.names:
            self._steps = [(False, b"")]
        else:
            self._steps.append((entry.kind is Effect.LISTEN, channel(entry)))

    def settle(self, committed: bool) -> None:
        """The transaction is over."""
        steps, self._steps = self._steps, []
        if not committed:
            return
        for listens, name in steps:
            if listens:
                self.channels |= {name}
            else:
                self.channels = self.channels - {name} if name else frozenset()
