"""What the traced pools share: their settings, their reporter, and what they tell."""

from __future__ import annotations

import os
import weakref

from dbopt.inprocess.counting import Counting, Limits
from dbopt.inprocess.reporter import Reporter
from dbopt.inprocess.summary import Summary, summaries
from dbopt.observation import Repeated, SlowStatement, TransactionCount

SOCKET_VARIABLE = "DBOPT_SOCKET"


class Traced:
    """Mixed into a pool. The arguments that all four pools take:

    `report_to`: the daemon's trace.socket; None takes DBOPT_SOCKET, "" sends nothing.
    `application`: whose statements they are; "" takes the connection's application_name.
    `slow_ms`, `parameters`, `n_plus_one`: as the daemon's settings trace.slow, trace.parameters,
    trace.n_plus_one, which hold where these are None: 1000, False, 10 without a daemon.
    `comments`: the route that `dbopt.route` gives goes to the server, too, as a comment.
    """

    _reporter: Reporter

    def _trace(
        self, report_to: str | None, slow_ms: float | None, parameters: bool | None,
        n_plus_one: int | None,
    ) -> Counting:  # fmt: skip
        defaults = Limits()
        given = {"slow_us": slow_ms, "parameters": parameters, "many": n_plus_one}
        limits = Limits(
            slow_us=defaults.slow_us if slow_ms is None else slow_ms * 1e3,
            parameters=bool(parameters),
            many=defaults.many if n_plus_one is None else n_plus_one,
        )
        counting = Counting(limits)
        path = os.environ.get(SOCKET_VARIABLE, "") if report_to is None else report_to
        own = frozenset(name for name, value in given.items() if value is not None)
        reporter = self._reporter = Reporter(counting, path, own=own)
        # At the interpreter's end the reporters' module closes those that are left.
        weakref.finalize(self, reporter.abandon).atexit = False
        return counting

    @property
    def reporting(self) -> bool:
        """Whether a daemon takes this pool's reports; False before the first statement."""
        return self._reporter.connected

    @property
    def reports_lost(self) -> int:
        """Slow statements and N+1 that there was no room for; counts are never lost."""
        return self._reporter.lost

    @property
    def trace_faults(self) -> int:
        """Operations that could not be observed, for a mistake of dbopt's."""
        return self._reporter.counting.faults

    def statements(self, limit: int = 50) -> list[Summary]:
        """What ran since the pool was made: the first `limit` statements by total time."""
        self._reporter.collect()
        return summaries(self._reporter.total.counts.values(), limit)

    def slow(self) -> list[SlowStatement]:
        """The last slow statements, 1000 at most, the newest last."""
        self._reporter.collect()
        return list(self._reporter.total.slow)

    def transactions(self) -> list[TransactionCount]:
        """The transactions that ended, by user, application and route."""
        self._reporter.collect()
        return list(self._reporter.total.transactions.values())

    def repeated(self) -> list[Repeated]:
        """The N+1: statements that ran `n_plus_one` times or more in one transaction."""
        self._reporter.collect()
        return list(self._reporter.total.repeated.values())
