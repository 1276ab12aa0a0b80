"""What holds of any statement under any rules of the guard."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from dbopt.guard.policy import decide
from dbopt.guard.subject import subject
from dbopt.guardsettings import GuardRules
from dbopt.sql.analyze import analyze
from dbopt.sql.query import Complexity, Kind, Query, Reason
from dbopt.store.quarantine import Quarantine
from dbopt.verdict import Verdict
from tests.property.test_sql_text import ANY
from tests.support import examples

NUMBERS = st.sampled_from((1, 2, 2**64 - 1))
SECRET = "'t0psecret'"
LISTS = st.frozensets(NUMBERS)
TIMES = st.sampled_from((0.0, 1.5))

QUERIES = st.builds(
    lambda kind, number, read_only, parsed, score, grade, unqualified: Query(
        "SELECT $1", number, kind, read_only, (), (),
        Complexity(score, grade, (Reason("star", score),)), parsed, unqualified=unqualified,
    ),
    st.sampled_from(Kind), NUMBERS, st.booleans(), st.booleans(), st.integers(0, 300),
    st.sampled_from(("simple", "moderate", "complex", "extreme")), st.booleans(),
)  # fmt: skip
RULES = st.builds(
    GuardRules,
    mode=st.sampled_from(("off", "observe", "enforce")),
    max_complexity=st.integers(0, 200),
    max_cost=st.sampled_from((0.0, 10.0)),
    unqualified_writes=st.sampled_from(("refuse", "allow")),
    ddl=st.sampled_from(("refuse", "allow")),
    read_only=st.booleans(),
    max_rows=st.integers(0, 5),
    timeout_simple=TIMES, timeout_moderate=TIMES, timeout_complex=TIMES, timeout_extreme=TIMES,
    heavy_share=st.floats(0, 1),
    allow=LISTS,
    deny=LISTS,
)  # fmt: skip
COSTS = st.none() | st.floats(0, 20)
QUARANTINES = st.none() | st.builds(Quarantine, NUMBERS, st.sampled_from((5.0, 10.0, 20.0)))


@given(QUERIES, RULES, COSTS)
@settings(max_examples=examples(300))
def test_the_list_of_what_is_allowed_always_passes(
    query: Query, rules: GuardRules, cost: float | None
) -> None:
    verdict = decide(query, replace(rules, allow=rules.allow | {query.fingerprint}), cost)
    assert (False, 0.0, 0, 0.0) == (
        verdict.refused, verdict.timeout, verdict.max_rows, verdict.expires,
    )  # fmt: skip


@given(QUERIES, RULES, COSTS, QUARANTINES, st.floats(0, 30))
@settings(max_examples=examples(300))
def test_quarantine_always_refuses_until_its_end(
    query: Query, rules: GuardRules, cost: float | None, held: Quarantine | None, now: float
) -> None:
    verdict = decide(query, rules, cost, held, now)
    in_force = held is not None and held.expires > now
    assert in_force == (verdict.rule == "quarantine")
    assert not in_force or verdict.refused


@given(QUERIES, RULES, COSTS)
@settings(max_examples=examples(300))
def test_a_verdict_is_whole(query: Query, rules: GuardRules, cost: float | None) -> None:
    verdict = decide(query, rules, cost)
    words = (verdict.rule, verdict.sqlstate, verdict.message, verdict.detail, verdict.hint)
    assert {verdict.refused} == {bool(word) for word in words}
    assert (query.complexity.score, query.complexity.grade) == (verdict.score, verdict.grade)
    assert not (verdict.refused and (verdict.heavy or verdict.timeout or verdict.max_rows))
    assert verdict == decide(query, replace(rules, mode="enforce"), cost), "whatever the mode is"


@given(QUERIES, RULES, COSTS)
@settings(max_examples=examples(300))
def test_a_stricter_limit_never_lets_more_pass(
    query: Query, rules: GuardRules, cost: float | None
) -> None:
    if decide(query, rules, cost).refused:
        stricter = replace(
            rules, max_complexity=1, max_cost=0.1, ddl="refuse", unqualified_writes="refuse",
            read_only=True, deny=frozenset((1, 2)),
        )  # fmt: skip
        assert decide(query, stricter, cost).refused


@given(ANY)
@settings(max_examples=examples(300))
def test_any_text_has_a_verdict_and_no_literal_in_it(text: str) -> None:
    found = subject(f"SELECT {SECRET}; {text}", 1, analyze)
    rules = GuardRules(max_complexity=1, ddl="refuse", read_only=True)
    verdict = decide(found.query, rules) if found else Verdict()
    assert "t0psecret" not in verdict.message + verdict.detail + verdict.hint
