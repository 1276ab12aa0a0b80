"""What the guard has decided, by statement, who sent it, and rule: the newest, in bounds."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from dbopt.clock import Clock, wall
from dbopt.metrics import Sample
from dbopt.sql.fingerprint import fingerprint_hex

log = structlog.get_logger("dbopt.guard")

OBSERVED = "observed"
"""It ran; enforcing would have refused it."""
REFUSED = "refused"
CAPACITY = 1000
_MOST_RULES = 50
_MOST_SAID = 10

Key = tuple[int, str, str, str, str, str, str]
"""Fingerprint, database, user, application, route, rule, action."""


@dataclass(slots=True)
class Decision:
    """One statement of one sender that one rule refuses. Times are epoch seconds."""

    fingerprint: int
    database: str
    user: str
    application: str
    route: str
    rule: str
    action: str
    message: str
    score: int
    first_seen: float
    last_seen: float
    calls: int = 0

    def to_dict(self, text: str) -> dict[str, Any]:
        """For JSON; `text` is the statement's, redacted."""
        return {
            "fingerprint": fingerprint_hex(self.fingerprint),
            "query": text,
            "database": self.database,
            "user": self.user,
            "application": self.application,
            "route": self.route,
            "rule": self.rule,
            "action": self.action,
            "message": self.message,
            "score": self.score,
            "calls": self.calls,
            "first_seen": _iso(self.first_seen),
            "last_seen": _iso(self.last_seen),
        }


class GuardLog:
    """Decisions, the longest unseen forgotten first; the totals by rule stay exact."""

    def __init__(self, clock: Clock = wall) -> None:
        self._clock = clock
        self._decisions: OrderedDict[Key, Decision] = OrderedDict()
        self._totals: dict[tuple[str, str], int] = {}
        self._said: deque[float] = deque(maxlen=_MOST_SAID)

    def add(self, key: Key, calls: int, message: str = "", score: int = 0) -> None:
        """Count calls that a rule refused, or would have refused; what is new is logged."""
        *_, rule, action = key
        total = (rule, action)
        if total in self._totals or len(self._totals) < _MOST_RULES:
            self._totals[total] = self._totals.get(total, 0) + calls
        now = self._clock()
        decision = self._decisions.get(key)
        if decision is None:
            decision = Decision(*key, message=message, score=score, first_seen=now, last_seen=now)
            self._decisions[key] = decision
            self._say(decision)
        decision.last_seen = now
        decision.calls += calls
        if message:
            decision.message, decision.score = message, score
        self._decisions.move_to_end(key)
        while len(self._decisions) > CAPACITY:
            self._decisions.popitem(last=False)

    def _say(self, new: Decision) -> None:
        """At most _MOST_SAID lines a minute: an application has more statements than readers."""
        now = self._clock()
        if len(self._said) == _MOST_SAID and now - self._said[0] < 60.0:
            return
        self._said.append(now)
        log.info(
            "statement refused" if new.action == REFUSED else "statement would be refused",
            rule=new.rule, fingerprint=fingerprint_hex(new.fingerprint), database=new.database,
            user=new.user, application=new.application, score=new.score,
        )  # fmt: skip

    def latest(self, limit: int = 50) -> list[Decision]:
        """The decisions that were seen last, the newest first."""
        newest = reversed(self._decisions.values())
        return [decision for decision, _ in zip(newest, range(limit), strict=False)]

    def totals(self) -> dict[tuple[str, str], int]:
        """Calls by (rule, action) since the start."""
        return dict(self._totals)

    def samples(self) -> Iterator[Sample]:
        """See metrics.Source."""
        for labels, calls in self._totals.items():
            yield Sample("dbopt_guard_decisions_total", calls, labels)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
