"""The guard in the control process, without a daemon."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from dbopt.errors import QueryFailed, StoreMissing
from dbopt.guard import control as controlling
from dbopt.guard import judge as judging
from dbopt.guard.control import GuardControl
from dbopt.guardsection import AppRoute
from dbopt.metrics import Metrics
from dbopt.observation import StatementCount
from dbopt.settings import Application, Database, Guard, Settings
from dbopt.sql.analyze import Analyzer
from dbopt.sql.fingerprint import fingerprint
from dbopt.store import quarantine
from dbopt.store.quarantine import Quarantine
from dbopt.verdict import Question, Refusal, Verdict
from tests.support import wait_until_async

WRITE, READ = "DELETE FROM t", "SELECT 1"
OBSERVE, ENFORCE = Settings(), Settings(guard=Guard(mode="enforce"))
NO_CONNECTION: Any = None


def count(text: str, calls: int = 1, application: str = "web") -> StatementCount:
    return StatementCount(
        fingerprint(text), text, "app", "alice", application, calls, 0, {}, 0.0, 1.0, 1.0, {}
    )


def ask(text: str, application: str = "web", route: str = "") -> Question:
    return Question(fingerprint(text), text, "app", "alice", application, route)


class Desk:
    """A control, the texts that it can look up, and what it tells the workers."""

    def __init__(self, settings: Settings) -> None:
        self.told: list[list[int]] = []
        self.texts = {fingerprint(text): text for text in (WRITE, READ)}
        self.held: list[Quarantine] | Exception = []
        self.looks = 0
        self.control = GuardControl(
            settings, Analyzer(), text_of=lambda f: self.texts.get(f, ""),
            cost=self.cost, forget=self.told.append,
        )  # fmt: skip

    async def cost(self, database: str, user: str, text: str) -> float:
        return 50.0

    async def read(self, connection: Any) -> list[Quarantine]:
        self.looks += 1
        if isinstance(self.held, Exception):
            raise self.held
        return self.held

    async def seen(self, calls: int) -> None:
        async def all_judged() -> bool:
            return sum(self.control.log.totals().values()) == calls

        await wait_until_async(all_judged)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def running(settings: Settings, work: Callable[[Desk], Awaitable[None]]) -> None:
        async def main() -> None:
            desk = Desk(settings)
            monkeypatch.setattr(quarantine, "held", desk.read)
            observing = asyncio.create_task(desk.control.observing())
            try:
                await work(desk)
            finally:
                observing.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await observing
                desk.control.close()

        asyncio.run(main())

    return running


Run = Callable[[Settings, Callable[[Desk], Awaitable[None]]], None]


# Before a statement runs


def test_an_enforced_statement_is_judged(run: Run) -> None:
    async def work(desk: Desk) -> None:
        assert "unqualified-write" == (await desk.control.asked(ask(WRITE))).rule
        assert (await desk.control.asked(ask(READ))).plain
        assert 2 == desk.control.questions

    run(ENFORCE, work)


@pytest.mark.parametrize("mode", ["off", "observe"])
def test_nothing_is_refused_where_nothing_is_enforced(run: Run, mode: str) -> None:
    async def work(desk: Desk) -> None:
        assert Verdict() == await desk.control.asked(ask(WRITE))

    run(Settings(guard=Guard(mode=mode)), work)


def test_the_rules_of_a_route_and_an_application(run: Run) -> None:
    async def work(desk: Desk) -> None:
        asked = desk.control.asked
        assert (await asked(ask(WRITE, "job", "/clean"))).refused is False
        assert (await asked(ask(WRITE, "job", "/other"))).refused
        assert not (await asked(ask(WRITE, "web"))).refused

    run(
        Settings(
            applications={"job": Application(guard_mode="enforce")},
            routes={"/clean": AppRoute(guard_unqualified_writes="allow")},
        ),
        work,
    )


def test_a_reload_judges_all_anew(run: Run) -> None:
    async def work(desk: Desk) -> None:
        assert (await desk.control.asked(ask(WRITE))).refused
        lax = Settings(guard=Guard(mode="enforce", unqualified_writes="allow"))
        desk.control.reload(lax, Analyzer())
        assert [[]] == desk.told
        assert not (await desk.control.asked(ask(WRITE))).refused

    run(ENFORCE, work)


def test_what_workers_refused_is_kept(run: Run) -> None:
    async def work(desk: Desk) -> None:
        await desk.control.asked(ask(WRITE))
        one = Refusal(fingerprint(WRITE), "app", "alice", "web", "", "unqualified-write", 3)
        other = Refusal(7, "app", "alice", "web", "/x", "unjudged", 2)
        desk.control.refused([one, other])
        shown = desk.control.to_dict()
        assert [(2, "unjudged", "/x", ""), (3, "unqualified-write", "", WRITE)] == [
            (d["calls"], d["rule"], d["route"], d["query"]) for d in shown["decisions"]
        ]
        assert shown["decisions"][1]["message"].startswith("statement refused by the guard: ")
        assert shown["decisions"][0]["message"].startswith("The guard has no verdict for this")
        assert {"mode": "enforce", "observed": 0, "refused": 5, "quarantined": 0} == (
            desk.control.summary()
        )

    run(ENFORCE, work)


@pytest.mark.parametrize("fail", ["open", "closed"])
def test_a_flood_is_not_judged(run: Run, monkeypatch: pytest.MonkeyPatch, fail: str) -> None:
    monkeypatch.setattr(judging, "MOST_WAITING", 2 * judging._OVERHEAD)

    async def work(desk: Desk) -> None:
        asked = [desk.control.asked(ask(f"SELECT a{n} FROM t")) for n in range(50)]
        verdicts = await asyncio.gather(*asked)
        flooded = [verdict for verdict in verdicts if verdict.expires]
        assert (48, 48) == (len(flooded), desk.control.flooded)
        assert {fail == "closed"} == {verdict.refused for verdict in flooded}
        assert (await desk.control.asked(ask(READ))).plain, "afterwards all is well"

    run(Settings(guard=Guard(mode="enforce", fail=fail)), work)


# After it has run


def test_what_would_be_refused_is_counted(run: Run) -> None:
    async def work(desk: Desk) -> None:
        desk.control.observed([count(WRITE, 2), count(READ, 5)])
        desk.control.observed([count(WRITE, 3)])
        await desk.seen(5)
        (decision,) = desk.control.log.latest()
        assert (5, "unqualified-write", "observed", "web") == (
            decision.calls, decision.rule, decision.action, decision.application,
        )  # fmt: skip
        assert [] == desk.told

    run(OBSERVE, work)


def test_a_cost_counts_too(run: Run) -> None:
    async def work(desk: Desk) -> None:
        desk.control.observed([count(READ, 2)])
        await desk.seen(2)
        assert {("cost", "observed"): 2} == desk.control.log.totals()

    run(Settings(guard=Guard(max_cost=10.0)), work)


@pytest.mark.parametrize("mode", ["off", "enforce"])
def test_only_observed_statements_are_judged_afterwards(run: Run, mode: str) -> None:
    async def work(desk: Desk) -> None:
        desk.control.observed([count(WRITE, 9), count(WRITE, 1, "seen")])
        await desk.seen(1)
        assert ["seen"] == [decision.application for decision in desk.control.log.latest()]

    run(
        Settings(guard=Guard(mode=mode), applications={"seen": Application(guard_mode="observe")}),
        work,
    )


def test_a_text_that_is_known_no_more_is_not_judged(run: Run) -> None:
    async def work(desk: Desk) -> None:
        desk.texts.clear()
        desk.control.observed([count(WRITE, 3)])

        async def passed() -> bool:
            return desk.control.unobserved == 3

        await wait_until_async(passed)
        desk.texts[fingerprint(WRITE)] = WRITE
        desk.control.observed([count(WRITE, 2)])
        await desk.seen(2)

    run(OBSERVE, work)


def test_one_failure_does_not_end_the_observing(run: Run) -> None:
    async def work(desk: Desk) -> None:
        judge, broken = desk.control.judge.judge, True

        async def once(question: Question) -> Verdict:
            nonlocal broken
            if broken:
                broken = False
                raise ValueError("a literal")
            return await judge(question)

        desk.control.judge.judge = once  # type: ignore[method-assign]
        desk.control.observed([count(WRITE), count(WRITE, 2)])
        await desk.seen(2)

    run(OBSERVE, work)


def test_no_more_waits_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controlling, "_MOST_UNSEEN", 2)
    desk = Desk(OBSERVE)
    desk.control.observed([count(WRITE, 7), count(READ, 1), count(READ, 1)])
    assert 7 == desk.control.unobserved
    desk.control.close()


# Quarantine


def test_quarantine_comes_and_goes(run: Run) -> None:
    async def work(desk: Desk) -> None:
        number = fingerprint(READ)
        assert not (await desk.control.asked(ask(READ))).refused
        desk.held = [Quarantine(number, 4e9, reason="a test", by="postgres")]
        await desk.control.look(NO_CONNECTION)
        await desk.control.look(NO_CONNECTION)
        assert [[]] == desk.told, "all is judged anew"
        assert "quarantine" == (await desk.control.asked(ask(READ))).rule
        assert ["postgres"] == [one["by"] for one in desk.control.to_dict()["quarantine"]]
        desk.held = []
        await desk.control.look(NO_CONNECTION)
        assert [[]] * 2 == desk.told
        assert not (await desk.control.asked(ask(READ))).refused

    run(ENFORCE, work)


def test_a_store_that_is_away_changes_nothing(run: Run) -> None:
    async def work(desk: Desk) -> None:
        desk.held = [Quarantine(fingerprint(READ), 4e9)]
        await desk.control.look(NO_CONNECTION)
        desk.held = QueryFailed("no")
        with pytest.raises(QueryFailed):
            await desk.control.look(NO_CONNECTION)
        assert (await desk.control.asked(ask(READ))).refused

    run(ENFORCE, work)


def test_a_store_without_the_table_holds_nothing_and_is_seldom_asked(run: Run) -> None:
    async def work(desk: Desk) -> None:
        desk.held = StoreMissing()
        for _ in range(12):
            await desk.control.look(NO_CONNECTION)
        assert 2 == desk.looks
        assert [] == desk.told

    run(ENFORCE, work)


# What is shown


def test_whether_anything_is_judged_at_all() -> None:
    off = Guard(mode="off")
    for settings, modes, active in (
        (Settings(), {"guard": "observe"}, True),
        (Settings(guard=off), {"guard": "off"}, False),
        (
            Settings(guard=off, databases={"app": Database(guard_mode="enforce"), "x": Database()}),
            {"guard": "off", "databases.app": "enforce"},
            True,
        ),
    ):
        desk = Desk(settings)
        assert (modes, active) == (desk.control.modes(), desk.control.active)
        desk.control.close()


def test_the_metrics(run: Run) -> None:
    async def work(desk: Desk) -> None:
        metrics = Metrics("1")
        metrics.add(desk.control)
        desk.control.observed([count(WRITE, 2)])
        await desk.seen(2)
        text = metrics.render()[0].decode()
        assert 'dbopt_guard_decisions_total{action="observed",rule="unqualified-write"} 2.0' in text
        assert "dbopt_guard_quarantined 0.0" in text
        assert "dbopt_guard_questions_total 0.0" in text

    run(OBSERVE, work)


def test_rules_are_kept_for_so_many_scopes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controlling, "_MOST_RULES", 2)
    desk = Desk(OBSERVE)
    desk.control.observed([count(READ, 1, name) for name in "abc"])
    assert 1 == len(desk.control._rules)
    desk.control.close()
