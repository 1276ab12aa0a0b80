"""From a question to its verdict: once, in a thread, and not for ever."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from dbopt.guard import judge as judging
from dbopt.guard.costs import AGE, Costs
from dbopt.guard.judge import Judge, Scope
from dbopt.guardsettings import GuardRules
from dbopt.sql.analyze import Analyzer
from dbopt.sql.fingerprint import fingerprint
from dbopt.sql.query import Query
from dbopt.store.quarantine import Quarantine
from dbopt.verdict import Question, Verdict
from tests.support import wait_until_async

SCOPE = Scope("app", "alice", "web")


def ask(text: str, scope: Scope = SCOPE) -> Question:
    return Question(fingerprint(text), text, *scope)


class Bench:
    """A judge, and all that it asks."""

    def __init__(self, rules: GuardRules | None = None, cost: float | Exception = 5.0) -> None:
        self.rules = rules or GuardRules()
        self.now = 1000.0
        self.cost = cost
        self.asked = 0
        self.texts: list[str] = []
        self.held: dict[int, Quarantine] = {}
        self.open = threading.Event()
        self.open.set()
        self.planning = asyncio.Event()
        self.planning.set()
        self.analyzer = Analyzer()
        self.costs = Costs(self.plan, lambda: self.now)
        self.judge = Judge(
            lambda scope: self.rules, self, self.costs,
            lambda number, database: self.held.get(number), lambda: self.now,
        )  # fmt: skip

    def analyze(self, text: str) -> Query:
        self.open.wait(10)
        assert threading.current_thread() is not threading.main_thread()
        self.texts.append(text)
        return self.analyzer.analyze(text)

    async def plan(self, database: str, user: str, text: str) -> float:
        self.asked += 1
        await self.planning.wait()
        if isinstance(self.cost, Exception):
            raise self.cost
        return self.cost


def asked(bench: Bench, times: int) -> Callable[[], Awaitable[bool]]:
    async def condition() -> bool:
        return bench.asked == times

    return condition


def run(work: Callable[[Bench], Awaitable[None]], **given: Any) -> None:
    async def main() -> None:
        bench = Bench(**given)
        try:
            await work(bench)
        finally:
            bench.open.set()
            bench.judge.close()

    asyncio.run(main())


def test_a_statement_is_judged_once_for_each_scope() -> None:
    async def work(bench: Bench) -> None:
        first = await bench.judge.judge(ask("DELETE FROM t"))
        assert "unqualified-write" == first.rule
        assert first is await bench.judge.judge(ask("delete  from t"))
        assert 1 == len(bench.texts)
        await bench.judge.judge(ask("DELETE FROM t", Scope("app", "alice", "web", "/x")))
        assert 2 == len(bench.texts)
        assert first is bench.judge.known((fingerprint("DELETE FROM t"), SCOPE))

    run(work)


def test_questions_that_come_together_are_judged_together() -> None:
    async def work(bench: Bench) -> None:
        bench.open.clear()
        asking = [asyncio.create_task(bench.judge.judge(ask("SELECT 1"))) for _ in range(5)]
        impatient = asyncio.create_task(bench.judge.judge(ask("SELECT 1")))
        await asyncio.sleep(0)
        impatient.cancel()
        bench.open.set()
        verdicts = await asyncio.gather(*asking)
        assert 1 == len(bench.texts)
        assert 1 == len({id(verdict) for verdict in verdicts})
        assert verdicts[0].plain

    run(work)


def test_a_long_judgement_does_not_stop_the_loop() -> None:
    async def work(bench: Bench) -> None:
        bench.open.clear()
        slow = asyncio.create_task(bench.judge.judge(ask("SELECT 1")))
        ticks = 0
        for _ in range(10):
            await asyncio.sleep(0.001)
            ticks += 1
        assert (10, False) == (ticks, slow.done())
        bench.open.set()
        await slow

    run(work)


def test_what_is_forgotten_is_judged_anew() -> None:
    async def work(bench: Bench) -> None:
        for text in ("SELECT 1", "DELETE FROM t"):
            await bench.judge.judge(ask(text))
        bench.rules = GuardRules(unqualified_writes="allow", max_complexity=0)
        bench.judge.forget([fingerprint("SELECT 1")])
        assert (await bench.judge.judge(ask("DELETE FROM t"))).refused
        assert 2 == len(bench.texts)
        bench.judge.forget()
        assert not (await bench.judge.judge(ask("DELETE FROM t"))).refused

    run(work)


def test_rules_that_change_meanwhile_count() -> None:
    async def work(bench: Bench) -> None:
        bench.planning.clear()
        asking = asyncio.create_task(bench.judge.judge(ask("SELECT a FROM t")))
        await wait_until_async(asked(bench, 1))
        bench.rules = GuardRules(max_complexity=1)
        bench.judge.forget()
        bench.planning.set()
        verdict = await asking
        assert "complexity" == verdict.rule
        assert verdict is bench.judge.known((fingerprint("SELECT a FROM t"), SCOPE))

    run(work, rules=GuardRules(max_cost=10.0, verdict_timeout=20.0))


def test_rules_that_never_rest_keep_nobody_waiting() -> None:
    async def work(bench: Bench) -> None:
        judged = bench.judge

        def forget(scope: Scope) -> GuardRules:
            judged.forget()
            return bench.rules

        judged._rules = forget
        verdict = await judged.judge(ask("SELECT 1"))
        assert (False, 1001.0) == (verdict.refused, verdict.expires)
        assert None is judged.known((fingerprint("SELECT 1"), SCOPE))

    run(work)


def test_each_long_text_has_a_verdict_of_its_own() -> None:
    """Its fingerprint, as a worker gives it, is that of its beginning."""

    async def work(bench: Bench) -> None:
        start = "SELECT 1 /*" + "x" * 70_000 + "*/"
        harmless = Question(1, start, *SCOPE)
        harmful = Question(1, start + "; DELETE FROM t", *SCOPE)
        assert not (await bench.judge.judge(harmless)).refused
        assert (await bench.judge.judge(harmful)).refused
        judged = len(bench.texts)
        assert not (await bench.judge.judge(harmless)).refused
        assert judged == len(bench.texts)

    run(work, rules=GuardRules(read_only=True))


def test_a_long_text_is_allowed_by_all_of_it_and_denied_by_its_beginning_too() -> None:
    """Else what is behind a beginning that is on the list would be allowed too."""
    start = "INSERT INTO t VALUES (1)" + ",(1)" * 20_000
    number = fingerprint(start[:65_536])

    async def work(bench: Bench) -> None:
        bench.rules = GuardRules(read_only=True, allow=frozenset({number}))
        assert not (await bench.judge.judge(Question(number, start, *SCOPE))).refused
        longer = Question(number, f"{start}; DELETE FROM t", *SCOPE)
        assert (await bench.judge.judge(longer)).refused
        bench.judge.forget()
        bench.rules = GuardRules(deny=frozenset({number}), max_complexity=0)
        assert "deny" == (await bench.judge.judge(longer)).rule
        bench.judge.forget()
        bench.rules = GuardRules()
        bench.held[number] = Quarantine(number, 1060.0)
        assert "quarantine" == (await bench.judge.judge(longer)).rule

    run(work)


@pytest.mark.parametrize(
    "text",
    [
        "PREPARE p AS SELECT a FROM t", "DECLARE c CURSOR FOR SELECT a FROM t",
        "BEGIN; SELECT a FROM t; COMMIT", "EXPLAIN ANALYZE SELECT a FROM t",
        "EXPLAIN (ANALYZE) SELECT a FROM t", "SELECT 1; PREPARE p AS SELECT a FROM t",
    ],
)  # fmt: skip
def test_what_holds_a_statement_that_may_not_run(text: str) -> None:
    number = fingerprint("SELECT a FROM t")

    async def work(bench: Bench) -> None:
        bench.rules = GuardRules(deny=frozenset({number}))
        assert "deny" == (await bench.judge.judge(ask(text))).rule
        assert not (await bench.judge.judge(ask("EXPLAIN SELECT a FROM t"))).refused
        bench.judge.forget()
        bench.rules = GuardRules()
        assert not (await bench.judge.judge(ask(text))).refused
        bench.judge.forget()
        bench.held[number] = Quarantine(number, 1060.0)
        verdict = await bench.judge.judge(ask(text))
        assert ("quarantine", 1060.0) == (verdict.rule, verdict.expires)

    run(work)


def test_long_texts_leave_a_thread_to_the_others() -> None:
    async def work(bench: Bench) -> None:
        bench.open.clear()
        texts = [f"SELECT a{n} /*{'x' * 20_000}*/" for n in range(3)]
        asking = [asyncio.create_task(bench.judge.judge(ask(text))) for text in texts]
        for _ in range(10):
            await asyncio.sleep(0.001)
        assert 0 == bench.judge._threads._work_queue.qsize(), "one is judged, no other waits there"
        bench.open.set()
        assert [False] * 3 == [one.refused for one in await asyncio.gather(*asking)]

    run(work)


def test_only_so_many_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "CAPACITY", 2)

    async def work(bench: Bench) -> None:
        texts = ["SELECT a", "SELECT b", "SELECT c"]
        for text in texts:
            await bench.judge.judge(ask(text))
        known = [bench.judge.known((fingerprint(text), SCOPE)) is not None for text in texts]
        assert [False, True, True] == known

    run(work)


def test_a_text_without_a_statement_may_run() -> None:
    async def work(bench: Bench) -> None:
        bench.rules = GuardRules(read_only=True)
        assert Verdict() == await bench.judge.judge(ask("-- nothing"))

    run(work)


def test_quarantine_ends_by_itself() -> None:
    async def work(bench: Bench) -> None:
        number = fingerprint("SELECT 1")
        bench.held[number] = Quarantine(number, 1060.0)
        verdict = await bench.judge.judge(ask("SELECT 1"))
        assert ("quarantine", 1060.0) == (verdict.rule, verdict.expires)
        bench.now = 1059.0
        assert verdict is await bench.judge.judge(ask("SELECT 1"))
        bench.now = 1060.0
        assert (await bench.judge.judge(ask("SELECT 1"))).plain

    run(work)


# Costs


def test_the_planner_is_asked_about_what_a_prepare_holds() -> None:
    async def work(bench: Bench) -> None:
        texts = {"PREPARE p AS SELECT a FROM t": True, "SELECT a FROM t; SELECT b FROM t": False}
        for text, refused in texts.items():
            assert refused == ("cost" == (await bench.judge.judge(ask(text))).rule)
        assert 1 == bench.asked

    run(work, rules=GuardRules(max_cost=10.0), cost=50.0)


def test_the_planner_is_asked_only_where_a_limit_is_set() -> None:
    async def work(bench: Bench) -> None:
        await bench.judge.judge(ask("SELECT a FROM t"))
        bench.judge.forget()
        bench.rules = GuardRules(max_cost=10.0)
        assert (await bench.judge.judge(ask("SELECT a FROM t"))).plain
        await bench.judge.judge(ask("UPDATE t SET a = 1 WHERE b = 2"))
        assert 1 == bench.asked

    run(work)


def test_a_refusal_for_its_cost_is_looked_at_again() -> None:
    async def work(bench: Bench) -> None:
        verdict = await bench.judge.judge(ask("SELECT a FROM t"))
        assert ("cost", 1060.0) == (verdict.rule, verdict.expires)
        assert verdict.detail.endswith("The planner's cost is 50.")
        bench.now += AGE
        bench.cost = 5.0
        assert (await bench.judge.judge(ask("SELECT a FROM t"))).plain

    run(work, rules=GuardRules(max_cost=10.0), cost=50.0)


def test_without_a_cost_it_is_judged_by_the_rest_and_again_soon() -> None:
    async def work(bench: Bench) -> None:
        verdict = await bench.judge.judge(ask("SELECT a FROM t"))
        assert (False, 1060.0, 1) == (verdict.refused, verdict.expires, bench.costs.failures)

    run(work, rules=GuardRules(max_cost=10.0), cost=ValueError())


def test_a_planner_that_is_slow_is_not_waited_for() -> None:
    async def work(bench: Bench) -> None:
        bench.planning.clear()
        verdict = await bench.judge.judge(ask("SELECT a FROM t"))
        assert (False, 1001.0) == (verdict.refused, verdict.expires)
        bench.planning.set()
        bench.now = 1001.0

        async def refused() -> bool:
            return (await bench.judge.judge(ask("SELECT a FROM t"))).rule == "cost"

        assert await refused()

    run(work, rules=GuardRules(max_cost=10.0, verdict_timeout=0.02), cost=50.0)


def test_another_rules_refusal_needs_no_second_look() -> None:
    async def work(bench: Bench) -> None:
        verdict = await bench.judge.judge(ask("SELECT * FROM a, b, c, d, e, f"))
        assert ("complexity", 0.0) == (verdict.rule, verdict.expires)

    run(work, rules=GuardRules(max_cost=10.0), cost=50.0)
