"""Guards: which verdict holds for which statement, and what comes of questions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import wraps
from typing import Any

import pytest

from dbopt.gateway import guards
from dbopt.gateway.counts import Counts
from dbopt.gateway.guards import LONGEST_JUDGED, Guard, Watch, misleading
from dbopt.gateway.scopes import Count, Scope
from dbopt.guardsection import AppRoute
from dbopt.guardsettings import GuardRules, guard_rules
from dbopt.settings import Application, Settings
from dbopt.sql.fingerprint import fingerprint
from dbopt.verdict import Question, Refusal, Verdict

NO = Verdict(refused=True, rule="complexity", sqlstate="54001", message="No.")
PLAIN: dict[str, str] = {}


def in_a_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    @wraps(test)
    def run(*given: Any, **named: Any) -> None:
        asyncio.run(test(*given, **named))  # type: ignore[arg-type]

    return run


class World:
    """A worker's guard and counts. Time passes when it is told to."""

    def __init__(self, capacity: int = 1000, **given: Any) -> None:
        self.now = 1000.0
        self.questions: list[tuple[int, Question]] = []
        self.link = True
        self.told: list[str] = []
        self.guard = Guard(self.settings(**given), self._send, self._clock, self._clock)
        self.counts = Counts(1e9, False, capacity, 10)
        self.counts.watch_with(self.guard.watch)

    @staticmethod
    def settings(routes: dict[str, AppRoute] | None = None, **given: Any) -> Settings:
        base = Settings()
        section = replace(base.guard, **{"mode": "enforce", "verdict_timeout": 0.01, **given})
        return replace(base, guard=section, routes=routes or {})

    def _clock(self) -> float:
        return self.now

    def _send(self, number: int, question: Question) -> bool:
        self.questions.append((number, question))
        return self.link

    def reload(self, **given: Any) -> None:
        self.guard.settings = self.settings(**given)
        self.counts.watch_with(self.guard.watch)

    @property
    def scope(self) -> Scope:
        return self.counts.scope("shop", "ann", "web")

    @property
    def watch(self) -> Watch:
        watch = self.scope.watch
        assert watch is not None
        return watch

    def count(self, text: bytes) -> Count:
        return self.scope.count(text)

    def verdict(self, text: bytes, **settings: str) -> Verdict | None:
        return self.watch.verdict(text, settings)

    def ask(self, text: bytes, who: str = "") -> None:
        self.watch.ask(text, lambda: self.told.append(who or text.decode()))

    def answer(self, verdict: Verdict = NO, at: int = -1) -> None:
        self.guard.answered(self.questions[at][0], verdict)

    def learn(self, text: bytes, verdict: Verdict = NO) -> None:
        self.ask(text)
        self.answer(verdict)

    async def settled(self) -> None:
        """Until nothing is under way any more."""
        while self.guard._pending:  # noqa: ASYNC110 - timers of the guard, of milliseconds
            await asyncio.sleep(0.001)


# What is asked


@in_a_loop
async def test_a_question_says_who_asks_what() -> None:
    world = World()
    world.ask(b"select 7")
    ((_, question),) = world.questions
    assert Question(fingerprint("select 7"), "select 7", "shop", "ann", "web", "") == question


@in_a_loop
async def test_of_one_statement_one_question_and_all_are_told() -> None:
    world = World()
    for who, text in (("a", b"select 1"), ("b", b"select 2"), ("c", b"SELECT  3 -- x\n")):
        world.ask(text, who)
    assert 1 == len(world.questions)
    world.answer()
    assert ["a", "b", "c"] == world.told
    assert [NO, NO, None] == [world.verdict(t) for t in (b"select 9", b"select 1", b"select 1, 2")]


@in_a_loop
async def test_each_scope_asks_for_itself() -> None:
    world = World()
    world.learn(b"select 1")
    other = world.counts.scope("shop", "ann", "batch").watch
    assert other is not None
    assert other.verdict(b"select 1", PLAIN) is None


@in_a_loop
async def test_a_failure_of_one_who_is_told_leaves_the_others() -> None:
    world = World()

    def fail() -> None:
        raise RuntimeError

    world.watch.ask(b"select 1", fail)
    world.ask(b"select 1")
    world.answer()
    assert ["select 1"] == world.told


@pytest.mark.parametrize(
    "text", ["COMMIT", " commit; ", "END", "abort work", "Rollback Transaction"]
)
def test_the_end_of_a_transaction_is_not_asked_about(text: str) -> None:
    world = World(fail="closed")
    assert world.count(text.encode()).special
    assert Verdict() == world.verdict(text.encode())
    assert not world.count(text.encode()).special


@pytest.mark.parametrize("text", [b"rollback to x", b"commit prepared 'x'", b"end; drop table t"])
def test_what_only_looks_like_it_is_asked_about(text: bytes) -> None:
    assert World().verdict(text) is None


# Long and misleading texts


@in_a_loop
async def test_each_long_text_has_a_verdict_of_its_own() -> None:
    world = World()
    long = b"select 1 /*" + b"x" * 70_000
    world.learn(long + b"a*/")
    assert [NO, None] == [world.verdict(long + end) for end in (b"a*/", b"b*/")]
    assert world.count(long + b"a*/").tagged
    assert fingerprint(long[:65_536].decode()) == world.questions[0][1].fingerprint


@pytest.mark.parametrize(("fail", "refused"), [("open", False), ("closed", True)])
def test_what_is_too_long_is_not_asked_about(fail: str, refused: bool) -> None:
    world = World(fail=fail)
    verdict = world.verdict(b"select 1 /*" + b"x" * LONGEST_JUDGED + b"*/")
    assert verdict is not None
    assert (refused, 1, []) == (verdict.refused, world.guard.unreadable, world.questions)


@pytest.mark.parametrize(
    ("text", "settings", "found"),
    [
        (b"select '\\'", {}, False),
        (b"select '\\'", {"standard_conforming_strings": "off"}, True),
        (b"select 1", {"standard_conforming_strings": "off"}, False),
        ("select 'ソ'".encode("sjis"), {"client_encoding": "SJIS"}, True),
        ("select 'ソ'".encode("sjis"), {"client_encoding": "sjis"}, True),
        (b"select 1", {"client_encoding": "SJIS"}, False),
        ("select 'ö'".encode(), {"client_encoding": "UTF8"}, False),
    ],
)
def test_a_text_that_the_server_may_read_otherwise(
    text: bytes, settings: dict[str, str], found: bool
) -> None:
    assert found is misleading(text, settings)


@pytest.mark.parametrize("encoding", ["BIG5", "GBK", "GB18030", "JOHAB", "SHIFT_JIS_2004", "UHC"])
def test_encodings_whose_letters_may_hold_a_backslash(encoding: str) -> None:
    world = World(fail="closed")
    verdict = world.verdict(b"select '\x95\x5c'", client_encoding=encoding)
    assert verdict is not None
    assert verdict.refused


@in_a_loop
async def test_a_text_with_a_backslash_is_looked_at_each_time() -> None:
    world = World()
    world.learn(b"select '\\'", Verdict())
    assert world.count(b"select '\\'").special
    world = World(mode="off")
    assert not world.count(b"select '\\'").special
    world.reload()
    world.learn(b"select '\\'", Verdict())
    assert world.count(b"select '\\'").special


# What a Count is told


@in_a_loop
async def test_a_count_is_special_until_it_may_run_just_so() -> None:
    world = World()
    count = world.count(b"select 1")
    assert (True, 0.0) == (count.special, count.timeout)
    world.learn(b"select 1", Verdict(timeout=3.0))
    assert (False, 3.0) == (count.special, count.timeout)
    world.guard.forget([count.fingerprint])
    assert count.special
    world.learn(b"select 1", Verdict())
    assert (False, 0.0) == (count.special, count.timeout)


@pytest.mark.parametrize(
    "verdict", [NO, Verdict(heavy=True), Verdict(max_rows=1), Verdict(expires=1e10)]
)
@in_a_loop
async def test_a_verdict_that_says_more_keeps_it_special(verdict: Verdict) -> None:
    world = World()
    world.learn(b"select 1", verdict)
    assert world.count(b"select 1").special


@in_a_loop
async def test_what_changes_the_session_stays_special() -> None:
    world = World()
    world.learn(b"listen x", Verdict())
    assert world.count(b"listen x").special


@in_a_loop
async def test_a_count_that_was_dropped_and_made_anew_knows_its_verdict() -> None:
    world = World(capacity=1)
    world.learn(b"select 1", Verdict(timeout=3.0))
    world.counts.take()  # a full worker forgets who is idle
    count = world.count(b"select 1")
    assert (False, 3.0) == (count.special, count.timeout)


@in_a_loop
async def test_beyond_the_capacity_each_statement_has_its_verdict() -> None:
    world = World(capacity=1)
    world.count(b"select 1")
    world.learn(b"select 1, 2")
    world.learn(b"select 1, 2, 3", Verdict())
    assert [NO, Verdict()] == [world.verdict(t) for t in (b"select 1, 2", b"select 1, 2, 3")]
    assert world.count(b"select 1, 2, 3").special, "it is counted with the refused one"


# Expiry, and what is forgotten


@in_a_loop
async def test_an_expired_verdict_is_none() -> None:
    world = World()
    world.learn(b"select 1", replace_expires(NO, world.now + 5))
    assert world.verdict(b"select 1") is not None
    world.now += 5
    assert world.verdict(b"select 1") is None


@in_a_loop
async def test_a_verdict_holds_for_a_moment_at_least() -> None:
    world = World()
    world.learn(b"select 1", replace_expires(NO, world.now - 5))
    assert world.verdict(b"select 1") is not None
    world.now += 0.2
    assert world.verdict(b"select 1") is None


def replace_expires(verdict: Verdict, at: float) -> Verdict:
    return Verdict(refused=verdict.refused, rule=verdict.rule, expires=at)


@in_a_loop
async def test_only_what_was_named_is_forgotten() -> None:
    world = World()
    world.learn(b"select 1")
    world.learn(b"select 1, 2")
    world.guard.forget([fingerprint("select 1")])
    assert [None, NO] == [world.verdict(t) for t in (b"select 1", b"select 1, 2")]
    world.guard.forget([])
    assert world.verdict(b"select 1, 2") is None


@in_a_loop
async def test_an_answer_to_a_question_from_before_is_not_kept() -> None:
    world = World()
    world.ask(b"select 1")
    world.guard.forget([])
    world.answer()
    assert (["select 1"], None) == (world.told, world.verdict(b"select 1"))
    world.learn(b"select 1")
    assert NO == world.verdict(b"select 1")


@in_a_loop
async def test_verdicts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "_MAX_VERDICTS", 10)
    world = World()
    for number in range(1, 11):
        for _ in range(3):  # what is learnt again takes no more room
            world.learn(b"select " + b", ".join([b"1"] * number))
    assert NO == world.verdict(b"select 1")
    world.learn(b"select " + b", ".join([b"1"] * 11))
    assert world.verdict(b"select 1") is None
    assert world.count(b"select 1").special


# Without an answer


@pytest.mark.parametrize(("fail", "refused"), [("open", False), ("closed", True)])
@in_a_loop
async def test_without_an_answer_guard_fail_decides_for_a_second(fail: str, refused: bool) -> None:
    world = World(fail=fail)
    world.ask(b"select 1")
    await world.settled()
    verdict = world.verdict(b"select 1")
    assert verdict is not None
    assert (refused, world.now + 1.0) == (verdict.refused, verdict.expires)
    assert (["select 1"], 1, 1) == (world.told, world.guard.asked, world.guard.unanswered)
    assert world.count(b"select 1").special
    world.now += 1.0
    assert world.verdict(b"select 1") is None


@in_a_loop
async def test_a_full_or_closed_link_costs_no_wait() -> None:
    world = World(verdict_timeout=3600.0)
    world.link = False
    world.ask(b"select 1")
    await world.settled()
    assert ["select 1"] == world.told


@in_a_loop
async def test_a_silent_control_process_costs_one_wait() -> None:
    world = World()
    world.ask(b"select 1")
    await world.settled()
    world.guard.settings = world.settings(verdict_timeout=3600.0)
    world.counts.watch_with(world.guard.watch)
    for _ in range(20):  # each second anew
        world.now += 1.5
        world.ask(b"select 1")
        await world.settled()
    assert 21 == len(world.questions) == len(world.told)


@in_a_loop
async def test_any_answer_ends_the_silence() -> None:
    world = World(verdict_timeout=0.01)
    world.ask(b"select 1")
    await world.settled()
    world.answer()  # too late for whom it was for
    assert world.verdict(b"select 1") != NO
    world.reload(verdict_timeout=3600.0)
    world.ask(b"select 1, 2")
    await asyncio.sleep(0)
    assert 1 == len(world.guard._pending), "it waits again"
    world.answer()
    assert NO == world.verdict(b"select 1, 2")


@in_a_loop
async def test_when_the_control_process_is_gone_nobody_waits() -> None:
    world = World(verdict_timeout=3600.0)
    world.ask(b"select 1")
    world.ask(b"select 1, 2")
    world.guard.orphaned()
    assert (["select 1", "select 1, 2"], {}) == (world.told, world.guard._pending)
    assert Verdict(expires=world.now + 1.0) == world.verdict(b"select 1")


def test_an_answer_that_nobody_waits_for_is_nothing() -> None:
    World().guard.answered(99, NO)


# Modes and routes


@pytest.mark.parametrize("mode", ["off", "observe"])
def test_in_other_modes_nobody_watches(mode: str) -> None:
    world = World(mode=mode)
    assert world.scope.watch is None
    assert not world.count(b"select 1").special


@in_a_loop
async def test_a_reload_asks_anew_and_an_end_of_the_guard_forgets() -> None:
    world = World()
    world.learn(b"select 1", Verdict(timeout=3.0))
    world.reload(mode="enforce", max_complexity=5)
    count = world.count(b"select 1")
    assert (None, True, 0.0) == (world.verdict(b"select 1"), count.special, count.timeout)
    world.reload(mode="off")
    assert (None, False) == (world.scope.watch, count.special)


@in_a_loop
async def test_an_answer_after_a_reload_is_for_nobody() -> None:
    world = World()
    world.ask(b"select 1")
    world.reload()
    world.answer()
    assert (["select 1"], None) == (world.told, world.verdict(b"select 1"))


REPORT = {"/report": AppRoute(guard_mode="enforce")}
TAGGED, OTHER = b"select 1 /*route='%2Freport'*/", b"select 1 /*route='%2Fother'*/"


@in_a_loop
async def test_a_route_is_asked_about_alone() -> None:
    world = World(mode="off", routes=REPORT)
    assert [Verdict(), Verdict(), None] == [world.verdict(t) for t in (b"select 1", OTHER, TAGGED)]
    world.learn(TAGGED)
    assert "/report" == world.questions[0][1].route
    assert [Verdict(), Verdict(), NO] == [world.verdict(t) for t in (b"select 1", OTHER, TAGGED)]


@in_a_loop
async def test_only_a_statement_that_was_seen_with_a_tag_is_looked_at_each_time() -> None:
    world = World(mode="off", routes=REPORT)
    assert not world.count(b"select 1, 2").special
    assert world.count(TAGGED).special
    assert not world.count(b"select 1").special, "the same statement, counted by no route"
    assert world.count(b"select 1 /* no route */").special
    assert world.count(b"select 1").special, "the same Count"


@pytest.mark.parametrize("text", [TAGGED + b" ; ", TAGGED + b"\n"])
def test_a_tag_may_be_followed_by_blanks(text: bytes) -> None:
    assert World(mode="off", routes=REPORT).verdict(text) is None


@in_a_loop
async def test_on_a_route_that_fails_closed_others_run() -> None:
    world = World(mode="off", fail="closed", routes=REPORT)
    world.ask(TAGGED)
    await world.settled()
    verdicts = [world.verdict(t) for t in (TAGGED, b"select 1")]
    assert [True, False] == [v is not None and v.refused for v in verdicts]
    assert Verdict() == world.verdict(b"select '\\'", standard_conforming_strings="off")


def test_rules_are_resolved_once_for_all_that_have_no_section(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(routes=REPORT)
    calls: list[tuple[str, ...]] = []

    def counted(settings: Settings, *who: str) -> GuardRules:
        calls.append(who)
        return guard_rules(settings, *who)

    monkeypatch.setattr(guards, "guard_rules", counted)
    for number in range(100):
        world.counts.scope("shop", "ann", f"app {number}")
    assert [("", "", ""), ("", "", "", "/report")] == calls
    own = {"web": Application(guard_mode="off")}
    world.guard.settings = replace(world.settings(), applications=own)
    world.counts.watch_with(world.guard.watch)
    scopes = [world.counts.scope("shop", "ann", name) for name in ("web", "app 1", "app 2")]
    assert [False, True, True] == [scope.watch is not None for scope in scopes]


# Refusals


def test_refusals_are_taken_once() -> None:
    world = World()
    for text in (b"select 1", b"select 2", b"select 1, 2"):
        world.watch.refuse(text, NO)
    one, two = (fingerprint(text) for text in ("select 1", "select 1, 2"))
    assert [
        Refusal(one, "shop", "ann", "web", "", "complexity", 2),
        Refusal(two, "shop", "ann", "web", "", "complexity", 1),
    ] == world.guard.take()
    assert [] == world.guard.take()


def test_refusals_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "_MAX_REFUSALS", 2)
    world = World()
    for number in (1, 2, 3, 1):
        world.watch.refuse(b"select " + b", ".join([b"1"] * number), NO)
    assert [2, 1] == [refusal.calls for refusal in world.guard.take()]


# Comments: a text is told by what comes before one, and must get no other text's verdict by it


@in_a_loop
async def test_a_verdict_holds_whatever_the_comment() -> None:
    world = World()
    texts = [
        b"select 1",
        b"select 2 /*route='a'*/",
        b"select 3 /*route='b',x='y'*/;",
        b"select 4/**/",
    ]
    assert [True] * 4 == [world.count(text).special for text in texts]
    world.learn(texts[1], Verdict(timeout=2.0))
    assert [(False, 2.0)] * 4 == [(c.special, c.timeout) for c in map(world.count, texts)]
    assert [Verdict(timeout=2.0)] * 4 == [world.verdict(text) for text in texts]
    world.guard.forget([])
    world.learn(texts[0], Verdict())
    assert [False] * 4 == [world.count(text).special for text in texts]
    assert not world.count(b"select 5 /*route='new'*/").special
    world.guard.forget([fingerprint("select 1")])
    assert [True] * 4 == [world.count(text).special for text in texts]
    assert world.count(b"select 5 /*route='new'*/").special


@pytest.mark.parametrize(
    "hostile",
    [
        b"select 1 /*route='a'*/; drop table t /*route='a'*/",
        b"select 1 /*route='a' *//**/; drop table t /*route='a'*/",
        b"select 1 ; drop table t /*route='a'*/",
        b"select 1 /*route='a'*/ drop table t",
        b"select 1 /*route='a'*/ ; drop table t;",
        b"select 1 '/*route='a'*/",
        b"select 1 \"/*route='a'*/",
        b"select 1 $$/*route='a'*/",
        b"select 1 /*route='a'*/*/",
        b"select 1 /*\\*/",
        b"select 1 \\/*route='a'*/",
        b"select 1 --/*route='a'*/\n; drop table t /*route='a'*/",
        b"/*route='a'*/ drop table t /*route='a'*/",
        b"select 1 /*route='a'*/" + b" /*route='a'*/" * 400 + b"; drop table t /*route='a'*/",
    ],
)
@in_a_loop
async def test_no_comment_leads_to_the_verdict_of_another_text(hostile: bytes) -> None:
    world = World()
    for text in (b"select 1", b"select 1 /*route='a'*/", b"select 1 /**/", b"/*route='a'*/"):
        world.learn(text, Verdict())
        assert not world.count(text).special
    for _ in range(2):
        assert world.count(hostile).special
    if b"\\" not in hostile:
        assert world.verdict(hostile) is None
        world.learn(hostile)
        assert NO == world.verdict(hostile)
    assert not world.count(b"select 1 /*route='a'*/").special
