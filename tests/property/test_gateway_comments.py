"""Whatever the comment at a text's end says, the text is what its fingerprint says that it is.

And under a guard nothing passes without a look that has not been judged, or was refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hypothesis import example, given, settings
from hypothesis import strategies as st

from dbopt.gateway.comments import at_rest
from dbopt.gateway.counts import Counts
from dbopt.gateway.guards import _tagged
from dbopt.guardsection import AppRoute
from dbopt.sql.effects import bounded_effects
from dbopt.sql.fingerprint import fingerprint
from dbopt.sql.lexer import texts
from dbopt.verdict import Verdict
from tests.support import examples
from tests.unit.gateway.test_guards import NO, World

PIECES = [
    "select ", "select 1", "drop table t", " 1", " 22", "'a'", "'", "''", '"', '"a 1"', "$$", "$a$",
    "$1", "/*", "*/", "/**/", "/", "*", "--", "\n", "-", ";", " ", "\\", "E'", "U&'", "a", "1e5",
    "/* x */", "/*route='report'*/", "/*route='a'*/", "/*route='b',x='1'*/", "/*+ hint */", "é",
    "route='", "commit", "set role x", "/*/", "*/*", "\r", "\x83",
]  # fmt: skip
COMMENTS = [
    "", "/**/", "/*route='a'*/", "/*route='report'*/", "/*route='report',x='\\'*/", "/*\\*/",
    "/*'*/", "/*\"*/", "/*$$*/", "/*--*/", "/*;drop table t*/", "/*a/*b*/", "/*a*/b*/", "*/", "/*/",
    "/* 12 */", "/*route='a'*/;", "/*route='a'*/ ; ;", "/*x*/\n", "/*route='é'*/",
    "/*route='a'*/-- x", "/*\n*/", "/*route='/1/2'*/",
]  # fmt: skip
BASES = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)
TEXTS = st.builds(lambda base, end: base + end, BASES, st.sampled_from(COMMENTS))
USUAL = st.builds(
    lambda base, end: base + end,
    st.sampled_from(["select 1 ", "select 2 ", "drop table t ", "select 'a' ", "select '"]),
    st.sampled_from(COMMENTS),
)


@settings(max_examples=examples(500), deadline=None)
@given(found=st.lists(TEXTS | USUAL, max_size=8))
@example(found=["select 'x", "select 'x /*route='a'*/"])
@example(found=["select 'x 1", "select 'x 2 /*route='a'*/"])
@example(found=["select 'x /*route='a'*/", "select 'x /*route='a'*//*route='a'*/"])
def test_a_text_has_its_own_fingerprint(found: Sequence[str]) -> None:
    scope = Counts(1e9, False, 10_000, 10).scope("shop", "ann", "web")
    for text in (*found, *found):
        count = scope.count(text.encode())
        assert fingerprint(text) == count.fingerprint, text
        if bounded_effects(text.encode()):
            assert count.effects, text


@settings(max_examples=examples(500), deadline=None)
@given(base=BASES, comment=st.sampled_from(["/**/", "/*'*/", '/*"*/', "/*$$*/", "/*--*/"]))
def test_after_what_is_at_rest_a_comment_is_one(base: str, comment: str) -> None:
    if at_rest(base.encode()):
        assert [*texts(base.rstrip(" \n\r")), comment] == texts(base + comment)


class Guarded:
    """A worker whose control process refuses every statement that drops something.

    `answers` are the verdicts that hold, by fingerprint, where no route has its own.
    """

    def __init__(self, routed: bool) -> None:
        routes = {"report": AppRoute(guard_mode="observe")} if routed else {}
        self.world = World(routes=routes)
        self.answers: dict[int, Verdict] = {}

    def learn(self, text: str) -> None:
        world = self.world
        asked = len(world.questions)
        world.ask(text.encode())
        if len(world.questions) > asked:
            verdict = NO if "drop" in text else Verdict()
            world.answer(verdict)
            if not world.questions[-1][1].route:
                self.answers[fingerprint(text)] = verdict

    def step(self, action: str, text: str) -> None:
        if action == "learn":
            self.learn(text)
        elif action == "forget":
            self.answers.pop(fingerprint(text), None)
            self.world.guard.forget([fingerprint(text)])
        elif action == "all":
            self.answers.clear()
            self.world.guard.forget([])
        elif action == "reload":
            self.answers.clear()
            self.world.counts.watch_with(self.world.guard.watch)
        elif action == "take":
            self.world.counts.take()


ACTIONS = st.sampled_from(["learn", "learn", "learn", "count", "forget", "all", "reload", "take"])


@settings(max_examples=examples(300), deadline=None)
@given(
    steps=st.lists(st.tuples(ACTIONS, TEXTS | USUAL), max_size=12), routed=st.booleans(),
)  # fmt: skip
def test_nothing_passes_the_guard_by_its_comment(
    steps: Sequence[tuple[str, str]], routed: bool
) -> None:
    async def walk() -> None:
        guarded = Guarded(routed)
        for action, text in steps:
            guarded.step(action, text)
            for _, other in steps:
                data = other.encode()
                count = guarded.world.count(data)
                assert fingerprint(other) == count.fingerprint
                if not count.special:
                    assert guarded.answers.get(fingerprint(other)) == Verdict(), other
                    assert "\\" not in other
                    assert not (routed and _tagged(data)), other

    asyncio.run(walk())
