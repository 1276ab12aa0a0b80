"""What holds of any text's effects: no exception, offsets within it, a flag that literals keep."""

from __future__ import annotations

import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from dbopt.sql.calleffects import CALLS
from dbopt.sql.effectrules import OUTLINER
from dbopt.sql.effects import Effect, effects, is_special
from dbopt.sql.lexer import Lexeme, code, tokens, unquote
from dbopt.sql.sessioneffect import UNREMARKABLE
from tests.support import examples
from tests.unit.sql.test_effects import CASES

WORDS = (
    "set reset local session role authorization all to = . ; , ( ) listen unlisten * prepare"
    " execute deallocate as select into temp table pg_temp create or replace function begin atomic"
    ' end case explain analyze set_config pg_advisory_lock U&"a" "set_config" uescape \'x\' $$ $a$'
    " E'\\ ' \" -- /* */ do call 1 22 333 'role' true declare cursor with hold savepoint rollback é"
)
PIECES = st.sampled_from([*WORDS.split(" "), "\n", "\x00", "\\"])
PIECED = st.lists(PIECES, max_size=30).map(" ".join) | st.lists(PIECES, max_size=30).map("".join)
STATEMENTS = st.sampled_from([case.sql for case in CASES])
SCRIPTS = st.lists(STATEMENTS, min_size=1, max_size=4).map("; ".join)
ANY = PIECED | SCRIPTS


@given(PIECED.map(str.encode) | st.binary(max_size=80))
@settings(max_examples=examples(500))
def test_offsets_are_in_order_and_within_the_text(sql: bytes) -> None:
    before = 0
    for one in effects(sql):
        assert before <= one.start < one.end <= len(sql)
        assert one.name_start == 0 or one.start <= one.name_start < one.name_end <= one.end
        before = one.start


def with_numbers(sql: str, number: int) -> str:
    """The text with another number in place of each integer constant."""
    return "".join(
        str(number) if token.lexeme is Lexeme.NUMBER and token.text.isdigit() else token.text
        for token in tokens(sql)
    )


@given(ANY, st.integers(0, 10**12))
@settings(max_examples=examples(500))
def test_another_integer_constant_keeps_the_flag(sql: str, number: int) -> None:
    assert is_special(sql.encode()) == is_special(with_numbers(sql, number).encode())


@given(SCRIPTS, st.text("abc set_role", max_size=9))
@example("do 'begin null; end'", "set role")
@example("select set_config('a.b', 'c', 't')", "f")
@settings(max_examples=examples(200))
def test_another_plain_string_keeps_the_flag(sql: str, value: str) -> None:
    changed = "".join(
        f"'{value}'" if re.fullmatch(r"'[^']*'", token.text) else token.text
        for token in tokens(sql)
    )
    assert is_special(sql.encode()) == is_special(changed.encode())


@given(SCRIPTS, SCRIPTS)
@settings(max_examples=examples(200))
def test_two_texts_in_one_have_the_effects_of_both(one: str, other: str) -> None:
    found = remarkable(f"{one}\n;{other}")
    assert remarkable(one) + remarkable(other) == found


def remarkable(sql: str) -> list[tuple[Effect, tuple[str, ...], bool]]:
    return [
        (entry.kind, entry.names, entry.every)
        for entry in effects(sql.encode())
        if entry.kind not in UNREMARKABLE
    ]


@given(PIECED)
@example("select 'a' 'b'; select E'\\';' ; x")
@settings(max_examples=examples(1000))
def test_the_outline_and_the_lexer_agree(sql: str) -> None:
    found = [
        (span.start, sorted(mark.start for word in CALLS for mark in span.marks.get(word, ())))
        for span in OUTLINER.outline(sql)
        if span.head not in {"create", "explain"}
    ]
    assert [one for one in by_tokens(sql) if one[0] in dict(found)] == found


def by_tokens(sql: str) -> list[tuple[int, list[int]]]:
    """Each statement's start and where the words and names of CALLS stand in it."""
    statements: list[tuple[int, list[int]]] = []
    ended = True
    for token in code(sql):
        if ended and token.text != ";":
            statements.append((token.start, []))
        ended = token.text == ";"
        closed = token.lexeme is Lexeme.WORD or token.text.endswith('"')
        if token.lexeme in {Lexeme.WORD, Lexeme.NAME} and closed and unquote(token.text) in CALLS:
            statements[-1][1].append(token.start)
    return statements
