"""Waiting for a server that was lost: a restart, a failover, a session that was terminated."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from dbopt import clock
from dbopt.errors import AuthenticationError, ConnectError, ServerLost, TableLocked
from dbopt.migrate.work import Deadline
from dbopt.pg.ddl import ServerError, translate

T = TypeVar("T")

AWAY = 300.0
"""Seconds that a lost server is waited for, where no deadline comes before."""


class Patience:
    """Does things with a server that may go away meanwhile.

    `back` makes sure that all is as it was, such as sessions and locks; it raises what `is_lost`
    knows while the server is away. A thing is done at most `attempts` times.
    """

    def __init__(
        self,
        back: Callable[[], None],
        tell: Callable[[str], None],
        deadline: Deadline,
        attempts: int,
    ) -> None:
        self._back = back
        self._tell = tell
        self._deadline = deadline
        self._attempts = attempts

    def lasting(self, act: Callable[[], T], what: str) -> T:
        """What `act` returns. It is done again if the server was lost in its middle, or if somebody
        has a table locked for longer than `act` waits.

        Raises what `act` raises, and DeadlinePassed, ConnectError or ServerLost where the server
        does not come back in time.
        """
        for left in reversed(range(self._attempts)):
            try:
                return act()
            except TableLocked as error:
                if not left or not self._deadline.left:
                    raise
                self._tell(f"{what}: {error.message} Waiting for it.")
            except Exception as error:
                if not (is_lost(error) and left):
                    raise
                self._tell(f"{what}: the server was lost. Waiting for it.")
                self._wait(what)
                self._tell("The server is back; going on.")
        raise AssertionError("unreachable")

    def _wait(self, what: str) -> None:
        limit = self._deadline.sooner(AWAY)
        for delay in clock.backoff(first=0.1, most=5.0, jitter=0.5):
            try:
                return self._back()
            except Exception as error:
                if not is_lost(error):
                    raise
                if not limit.left:
                    self._deadline.check(what)
                    raise
            time.sleep(min(delay, limit.left))


def is_lost(error: Exception) -> bool:
    """Whether it says that there is no server, for now."""
    if isinstance(error, ServerError):
        error = translate("", error)
    if isinstance(error, AuthenticationError):
        return False
    return isinstance(error, ServerLost | ConnectError)
