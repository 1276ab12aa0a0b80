"""What holds of any text's class: no exception, no constant that decides, all doubts together."""

from __future__ import annotations

import random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from dbopt.sql.analyze import analyze
from dbopt.sql.classify import classify
from dbopt.sql.lexer import Lexeme, tokens
from dbopt.sql.query import Query
from dbopt.sql.redact import redact
from dbopt.sql.schema import Schema
from tests.integration.classify_support import mutant
from tests.property.test_sql_text import ANY
from tests.support import examples
from tests.unit.sql.test_classify import CASES

# A backslash before a quote is read in two ways, so that redact hides what follows it.
TEXTS = [case.sql for case in CASES if "\\'" not in case.sql]
CASE = st.sampled_from(TEXTS)
STRINGS = st.one_of(
    st.text("ab'%- ;\n", max_size=6).map(lambda text: "'" + text.replace("'", "''") + "'"),
    st.text("ab' \n", max_size=6).map(lambda text: f"$q${text}$q$"),
    st.text("ab", max_size=6).map(lambda text: f"E'{text}\\n'"),
)


def facts(query: Query) -> tuple[object, ...]:
    """What a verdict may go by: it is kept by fingerprint."""
    return (
        query.kind,
        query.read_only,
        query.reads,
        query.writes,
        query.unqualified,
        query.ddl,
        query.parsed,
        query.statements,
        query.deterministic,
        query.uncacheable_because,
    )


@given(ANY | st.integers().map(lambda seed: mutant(random.Random(seed), TEXTS)))  # noqa: S311
@settings(max_examples=examples(400), deadline=None)
def test_any_text_is_judged(text: str) -> None:
    query = analyze(text)
    assert query.cacheable <= (query.read_only and query.parsed and query.deterministic)
    assert query.read_only <= query.parsed
    assert query.ddl or query.kind != "ddl"
    assert not (query.writes and query.read_only)


@given(CASE)
@settings(max_examples=examples(300), deadline=None)
def test_a_redacted_text_is_classed_like_its_original(text: str) -> None:
    assert facts(analyze(text)) == facts(analyze(redact(text)))


def with_constants(text: str, strings: list[str], number: int) -> str:
    """The text with other constants: the strings in turn, and the number for each integer."""
    parts: list[str] = []
    for token in tokens(text):
        plain = token.lexeme is Lexeme.STRING and token.text[0] in "'$"
        if plain:
            parts.append(strings[len(parts) % len(strings)])
        elif token.lexeme is Lexeme.NUMBER and token.text.isdigit():
            parts.append(str(number))
        else:
            parts.append(token.text)
    return "".join(parts)


@given(CASE, st.lists(STRINGS, min_size=1, max_size=3), st.integers(0, 10**9))
@example("select * from a where id = 1", ["'x'"], 0)
@settings(max_examples=examples(300), deadline=None)
def test_no_constant_decides(text: str, strings: list[str], number: int) -> None:
    assert facts(analyze(text)) == facts(analyze(with_constants(text, strings, number)))


@given(CASE, CASE)
@settings(max_examples=examples(200), deadline=None)
def test_two_statements_do_what_both_do(one: str, other: str) -> None:
    first, second, both = classify(one), classify(other), classify(f"{one}\n;{other}")
    assert (first.read_only and second.read_only) == both.read_only
    assert set(first.reads) | set(second.reads) == set(both.reads)
    assert set(first.writes) | set(second.writes) == set(both.writes)
    assert (first.unqualified or second.unqualified) == both.unqualified
    assert (first.ddl or second.ddl) == both.ddl


@given(CASE)
@settings(max_examples=examples(200), deadline=None)
def test_a_schema_that_knows_nothing_changes_nothing(text: str) -> None:
    assert classify(text) == classify(text, schema=Schema())
