"""The judge: from a question to its verdict, which is kept, in a thread and a few at once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from hashlib import blake2b
from typing import NamedTuple, Protocol

from msgspec.structs import replace

from dbopt.clock import Clock, wall
from dbopt.guard.costs import Cost, Costs
from dbopt.guard.policy import decide, needs_cost
from dbopt.guard.subject import Analyze, Subject, subject
from dbopt.guardsettings import GuardRules
from dbopt.sql.fingerprint import fingerprint
from dbopt.sql.query import Query
from dbopt.store.quarantine import Quarantine
from dbopt.verdict import Question, Verdict

CAPACITY = 20_000
"""Verdicts kept: statements times who sends them."""
MOST_PENDING = 200
"""Questions that are judged at once; others wait."""
MOST_WAITING = 16 << 20
"""Characters of all texts that wait or are judged, each with _OVERHEAD: more is a flood."""
_OVERHEAD = 4096
SOON = 1.0
"""Seconds for which a verdict holds whose cost was not known in time."""
_THREADS = 2
_LONG = 16_384
"""Characters. Workers read no more than 65,536 bytes of a text for its fingerprint: a longer text
has a verdict of its own."""
_TRIES = 3
"""Times that a statement is judged while the rules change under it."""


class Scope(NamedTuple):
    """Who sends a statement, in the client's words; `route` is the sqlcommenter tag or ""."""

    database: str
    user: str
    application: str
    route: str = ""


class Analyzer(Protocol):
    """dbopt.sql.analyze.Analyzer: with a memory by fingerprint, and safe in threads."""

    def analyze(self, text: str) -> Query:
        """What a text does, and how complex it is. Never raises."""
        ...


RulesOf = Callable[[Scope], GuardRules]
Held = Callable[[int, str], Quarantine | None]
"""The quarantine of a fingerprint in a database, if there is one."""
Key = tuple[int, Scope]
_Long = tuple[int, Scope, bytes]


class Judge:
    """Verdicts by (fingerprint, scope): of texts that differ in literals the first one is judged.

    Used from one loop. `close` ends its threads.
    """

    def __init__(
        self,
        rules: RulesOf,
        analyzer: Analyzer,
        costs: Costs,
        held: Held,
        clock: Clock = wall,
    ) -> None:
        self.analyzer = analyzer
        self._rules = rules
        self._costs = costs
        self._held = held
        self._clock = clock
        self._verdicts: OrderedDict[Key | _Long, Verdict] = OrderedDict()
        self._pending: dict[Key | _Long, asyncio.Task[Verdict]] = {}
        self._slots = asyncio.Semaphore(MOST_PENDING)
        self._long = asyncio.Lock()  # so that one thread is always there for short texts
        self._generation = 0
        self._waiting = 0
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="dbopt-guard")

    def close(self) -> None:
        """End the threads, once they have done what they do."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    @property
    def flooded(self) -> bool:
        """Whether so much waits that what comes now would be judged too late."""
        return self._waiting >= MOST_WAITING

    def known(self, key: Key | _Long) -> Verdict | None:
        """The verdict that is kept and holds now."""
        verdict = self._verdicts.get(key)
        if verdict is None or 0 < verdict.expires <= self._clock():
            return None
        self._verdicts.move_to_end(key)
        return verdict

    def forget(self, fingerprints: Iterable[int] = ()) -> None:
        """Judge these anew; all where there are none."""
        self._generation += 1
        gone = frozenset(fingerprints)
        if not gone:
            self._verdicts.clear()
        for key in [key for key in self._verdicts if key[0] in gone]:
            del self._verdicts[key]

    async def judge(self, question: Question) -> Verdict:
        """The verdict on a question, whatever the mode is. Takes long only for a new statement."""
        key = _key(question)
        known = self.known(key)
        if known is not None:
            return known
        size = len(question.text) + _OVERHEAD
        self._waiting += size
        try:
            async with self._slots:
                task = self._pending.get(key)
                if task is None:
                    task = self._pending[key] = asyncio.create_task(self._find(key, question.text))
                # Who gives up waiting must not take the verdict from others who wait for it.
                return await asyncio.shield(task)
        finally:
            self._waiting -= size

    async def _find(self, key: Key | _Long, text: str) -> Verdict:
        try:
            for _ in range(_TRIES):
                generation = self._generation
                verdict = await self._decide(key[0], key[1], text)
                if generation == self._generation:  # else the rules have changed meanwhile
                    self._keep(key, verdict)
                    return verdict
            return replace(verdict, expires=self._clock() + SOON)
        finally:
            del self._pending[key]

    def _keep(self, key: Key | _Long, verdict: Verdict) -> None:
        self._verdicts[key] = verdict
        self._verdicts.move_to_end(key)
        while len(self._verdicts) > CAPACITY:
            self._verdicts.popitem(last=False)

    async def _decide(self, number: int, scope: Scope, text: str) -> Verdict:
        async with self._long if len(text) > _LONG else nullcontext():
            found = await asyncio.get_running_loop().run_in_executor(
                self._threads, _subject, text, number, self.analyzer.analyze
            )
        if found is None:
            return Verdict()
        query, sql, _ = found
        rules = self._rules(scope)
        if not sql or not needs_cost(query, rules):
            return self._said(found, number, rules, scope, None)
        asked = (number, scope.database, scope.user)
        cost = await self._costs.cost(asked, sql, rules.verdict_timeout / 2)
        verdict = self._said(found, number, rules, scope, cost.value)
        return replace(verdict, expires=self._until(verdict, cost))

    def _said(
        self, found: Subject, number: int, rules: GuardRules, scope: Scope, cost: float | None
    ) -> Verdict:
        inside = {number, *found.inside}
        numbers = {found.query.fingerprint, *inside}
        held = [one for n in numbers if (one := self._held(n, scope.database)) is not None]
        longest = max(held, key=lambda one: one.expires, default=None)
        return decide(found.query, rules, cost, longest, self._clock(), inside)

    def _until(self, verdict: Verdict, cost: Cost) -> float:
        """When a verdict that stands on a cost ends: soon where the cost may yet come.

        One that refuses must not outlive its reason, since an index may be built meanwhile.
        """
        if verdict.rule not in ("", "cost"):
            return verdict.expires
        if cost.value is not None and not verdict.refused:
            return 0.0
        left = max(cost.until - self._costs.now(), SOON)
        return self._clock() + min(left, 60.0)


def _subject(text: str, number: int, analyze: Analyze) -> Subject | None:
    """See guard.subject. A long text is allowed by the fingerprint of all of it.

    Else what is behind a beginning that is on the list would be allowed too.
    """
    return subject(text, number if len(text) <= _LONG else fingerprint(text), analyze)


def _key(question: Question) -> Key | _Long:
    scope = Scope(question.database, question.user, question.application, question.route)
    if len(question.text) <= _LONG:
        return question.fingerprint, scope
    digest = blake2b(question.text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return question.fingerprint, scope, digest
