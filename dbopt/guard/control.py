"""The guard in the control process: answers workers, counts what it would refuse, keeps the ward.

Enforced statements are judged before they run, by a worker's question. Observed ones are judged
after they have run, from what the workers count: that costs the query path nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import structlog

from dbopt.clock import Clock, wall
from dbopt.errors import StoreMissing
from dbopt.guard.costs import Ask, Costs
from dbopt.guard.judge import SOON, Analyzer, Judge, Scope
from dbopt.guard.log import OBSERVED, REFUSED, Decision, GuardLog
from dbopt.guard.ward import Ward
from dbopt.guardsettings import GuardRules, guard_rules
from dbopt.metrics import Sample
from dbopt.observation import StatementCount
from dbopt.pg.connect import AsyncConnection
from dbopt.settings import NAMED, Settings
from dbopt.sql.fingerprint import fingerprint_hex
from dbopt.store import quarantine
from dbopt.verdict import UNJUDGED, Question, Refusal, Verdict, unjudged

log = structlog.get_logger("dbopt.guard")

_MOST_RULES = 10_000
"""Scopes whose rules are kept: a client chooses its application's name."""
_MOST_UNSEEN = 20_000
_AT_ONCE = 100
"""Counts that are looked at before the loop's other work has its turn."""
_LOOKS_WITHOUT_STORE = 10
"""Of so many looks one is made while the store has no table for quarantine."""


class _Seen(NamedTuple):
    fingerprint: int
    scope: Scope
    calls: int


class GuardControl:
    """One sidecar's guard. It is a source of metrics.

    `text_of` gives a statement's redacted text by its fingerprint, `cost` the planner's cost of
    one, `forget` tells the workers to ask anew. Times are epoch seconds.
    """

    def __init__(
        self,
        settings: Settings,
        analyzer: Analyzer,
        *,
        text_of: Callable[[int], str],
        cost: Ask,
        forget: Callable[[list[int]], None],
        clock: Clock = wall,
    ) -> None:
        self.log = GuardLog(clock)
        self.ward = Ward(clock)
        self.costs = Costs(cost)
        self.judge = Judge(self.rules, analyzer, self.costs, self.ward.find, clock)
        self.questions = self.flooded = 0
        self.unobserved = 0
        self._clock = clock
        self._settings = settings
        self._text_of = text_of
        self._forget = forget
        self._rules: dict[Scope, GuardRules] = {}
        self._seen: deque[_Seen] = deque()
        self._wake = asyncio.Event()
        self._no_store = 0

    def rules(self, scope: Scope) -> GuardRules:
        """The rules for the statements of a scope."""
        rules = self._rules.get(scope)
        if rules is None:
            if len(self._rules) >= _MOST_RULES:
                self._rules.clear()
            rules = self._rules[scope] = guard_rules(self._settings, *scope)
        return rules

    def reload(self, settings: Settings, analyzer: Analyzer) -> None:
        """Take new settings: everything is judged anew, by the workers too."""
        self._settings = settings
        self._rules.clear()
        self.judge.analyzer = analyzer
        self.costs.forget()
        self._judge_anew([])

    def close(self) -> None:
        """End the judge's threads."""
        self.judge.close()

    def _judge_anew(self, fingerprints: list[int]) -> None:
        self.judge.forget(fingerprints)
        self._forget(fingerprints)

    # Before a statement runs

    async def asked(self, question: Question) -> Verdict:
        """The verdict on a worker's question. Where nothing is enforced, everything may run.

        In a flood of new statements guard.fail says what becomes of them: else they would fill
        the memory, and be judged when nobody waits any more.
        """
        self.questions += 1
        scope = Scope(question.database, question.user, question.application, question.route)
        rules = self.rules(scope)
        if not rules.enforced:
            return Verdict()
        if self.judge.flooded:
            self.flooded += 1
            return unjudged(rules.fails_closed, self._clock() + SOON)
        return await self.judge.judge(question)

    def refused(self, refusals: Sequence[Refusal]) -> None:
        """Workers have refused these."""
        for one in refusals:
            scope = Scope(one.database, one.user, one.application, one.route)
            verdict = self.judge.known((one.fingerprint, scope))
            if one.rule == UNJUDGED:
                verdict = unjudged(True, 0.0)
            known = verdict is not None and verdict.rule == one.rule
            self.log.add(
                (one.fingerprint, *scope, one.rule, REFUSED), one.calls,
                verdict.message if verdict and known else "",
                verdict.score if verdict and known else 0,
            )  # fmt: skip

    # After it has run

    def observed(self, counts: Sequence[StatementCount]) -> None:
        """Note what ran where the mode is observe: `observing` judges it."""
        for count in counts:
            scope = Scope(count.database, count.user, count.application)
            if count.fingerprint and count.calls and self.rules(scope).mode == "observe":
                self._seen.append(_Seen(count.fingerprint, scope, count.calls))
        while len(self._seen) > _MOST_UNSEEN:
            self.unobserved += self._seen.popleft().calls
        if self._seen:
            self._wake.set()

    async def observing(self) -> None:
        """Judge what ran, one statement after the other, until cancelled."""
        passed = 0
        while True:
            if not self._seen:
                self._wake.clear()
                await self._wake.wait()
            passed += 1
            if passed % _AT_ONCE == 0:
                await asyncio.sleep(0)
            try:
                await self._observe(self._seen.popleft())
            except Exception as error:
                # One statement must not end it all. The type alone: words might hold a literal.
                log.error("not observed", error=type(error).__name__)  # noqa: TRY400

    async def _observe(self, seen: _Seen) -> None:
        key = (seen.fingerprint, seen.scope)
        verdict = self.judge.known(key)
        if verdict is None:
            text = self._text_of(seen.fingerprint)
            if not text:  # it is known no more: a verdict on it would be of nothing
                self.unobserved += seen.calls
                return
            verdict = await self.judge.judge(Question(seen.fingerprint, text, *seen.scope))
            await asyncio.sleep(0)
        if verdict.refused:
            key_ = (seen.fingerprint, *seen.scope, verdict.rule, OBSERVED)
            self.log.add(key_, seen.calls, verdict.message, verdict.score)

    # Quarantine

    @property
    def active(self) -> bool:
        """Whether any statement may be judged at all."""
        return any(mode != "off" for mode in self.modes().values())

    async def look(self, connection: AsyncConnection) -> None:
        """Read the quarantine, and let what has changed be judged anew.

        Without a store nothing is in quarantine. Raises ServerLost or QueryFailed where the store
        cannot be asked: what was read before holds on.
        """
        if stale := self.costs.stale():
            self._judge_anew(stale)
        if self._no_store:
            self._no_store -= 1
            return
        try:
            held = await quarantine.held(connection)
        except StoreMissing:
            self._no_store, held = _LOOKS_WITHOUT_STORE, []
        if changed := self.ward.take(held):
            # All: what holds one of these, or is too long to be told by its fingerprint, too.
            self._judge_anew([])
            log.info("quarantine changed", fingerprints=[fingerprint_hex(f) for f in changed])

    # What is shown

    def modes(self) -> dict[str, str]:
        """The mode by where it is set: "guard", and such as "databases.app"."""
        modes = {"guard": self._settings.guard.mode}
        for kind in NAMED:
            for name, own in getattr(self._settings, kind).items():
                if own.guard_mode is not None:
                    modes[f"{kind}.{name}"] = own.guard_mode
        return modes

    def to_dict(self, limit: int = 50) -> dict[str, Any]:
        """For JSON: modes and rules, the newest decisions, totals, and what is in quarantine."""
        totals = self.log.totals().items()
        return {
            "mode": self._settings.guard.mode,
            "modes": self.modes(),
            "rules": asdict(self._settings.guard),
            "totals": [{"rule": r, "action": a, "calls": n} for (r, a), n in sorted(totals)],
            "questions": self.questions,
            "flooded": self.flooded,
            "cost_failures": self.costs.failures,
            "unobserved": self.unobserved,
            "decisions": [self._shown(decision) for decision in self.log.latest(limit)],
            "quarantine": [one.to_dict() for one in self.ward.held()],
        }

    def summary(self) -> dict[str, Any]:
        """The guard at a glance, for JSON: calls that were refused, or would have been."""
        calls = {OBSERVED: 0, REFUSED: 0}
        for (_, action), count in self.log.totals().items():
            calls[action] += count
        modes = set(self.modes().values())
        mode = self._settings.guard.mode if len(modes) == 1 else "mixed"
        return {"mode": mode} | calls | {"quarantined": len(self.ward.held())}

    def _shown(self, decision: Decision) -> dict[str, Any]:
        return decision.to_dict(self._text_of(decision.fingerprint))

    def samples(self) -> Iterator[Sample]:
        """See metrics.Source."""
        yield from self.log.samples()
        yield Sample("dbopt_guard_questions_total", self.questions)
        yield Sample("dbopt_guard_flooded_total", self.flooded)
        yield Sample("dbopt_guard_cost_failures_total", self.costs.failures)
        yield Sample("dbopt_guard_unobserved_total", self.unobserved)
        yield Sample("dbopt_guard_quarantined", len(self.ward.held()))
