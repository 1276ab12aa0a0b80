"""dbopt.sql.effects: data/effects.tsv holds a text and what it does to its session side by side."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

import pytest

from dbopt.sql.effects import Effect, SessionStatement, effects, is_special

DATA = Path(__file__).parent / "data" / "effects.tsv"


class Case(NamedTuple):
    """One line of the data: a text, its entries as written there, and a note."""

    sql: str
    expected: str
    note: str


def cases() -> list[Case]:
    lines = DATA.read_text(encoding="utf-8").splitlines()
    return [_case(*line.split("\t")) for line in lines if not line.startswith("#")]


def _case(sql: str, expected: str, note: str = "") -> Case:
    return Case(sql.replace("␤", "\n"), expected, note)


CASES = cases()


def shown(found: tuple[SessionStatement, ...]) -> str:
    """Entries as the data writes them."""
    return " | ".join(map(_shown, found)) or "-"


def _shown(one: SessionStatement) -> str:
    names = ",".join(one.names) + "!" * one.every
    return f"{one.kind.name}:{names}" if names else one.kind.name


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.sql[:60])
def test_effects(case: Case) -> None:
    found = effects(case.sql.encode())
    assert case.expected == shown(found)
    assert (found != ()) == is_special(case.sql.encode())


def test_the_data_has_no_text_twice() -> None:
    texts = [case.sql for case in CASES]
    assert len(texts) >= 150
    assert sorted(set(texts)) == sorted(texts)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.sql[:60])
def test_letters_case_and_blanks_change_nothing(case: Case) -> None:
    if set(case.sql) & set("'\"$"):
        return
    found = effects(f" /* é ; */\n{case.sql.upper()}\t; -- x".encode())
    assert shown(effects(case.sql.encode())) == shown(found)


def places(sql: str) -> list[tuple[str, str, str]]:
    """The statement, its name and its body as they stand in the text."""
    raw = sql.encode()
    return [
        (
            raw[one.start : one.end].decode(),
            raw[one.name_start : one.name_end].decode(),
            raw[one.body_start : one.end].decode() if one.body_start else "",
        )
        for one in effects(raw)
    ]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (" listen  News ;", ("listen  News", "News", "")),
        ('unlisten "a b" -- c', ('unlisten "a b" -- c', '"a b"', "")),
        ("unlisten *", ("unlisten *", "", "")),
        ("prepare p as select 1;", ("prepare p as select 1", "p", " as select 1")),
        ('/*é*/prepare "é"(int)as x', ('prepare "é"(int)as x', '"é"', "(int)as x")),
        ("execute p(1)", ("execute p(1)", "p", "")),
        ("execute U&\"p!0031\" uescape '!' (1)", None),
        ("explain (analyze) execute p", ("explain (analyze) execute p", "p", "")),
        ("create table a as execute p (1)", ("create table a as execute p (1)", "p", "")),
        ("deallocate prepare p", ("deallocate prepare p", "p", "")),
        ("deallocate all", ("deallocate all", "", "")),
        ("close c", ("close c", "c", "")),
    ],
)  # fmt: skip
def test_places(sql: str, expected: tuple[str, str, str] | None) -> None:
    assert [expected or (sql, "U&\"p!0031\" uescape '!'", "")] == places(sql)


def test_the_entries_of_one_statement_have_its_place() -> None:
    first, second = effects(b"select pg_advisory_unlock(1), set_config('a.b', 'c', false)")
    assert (first.kind, second.kind) == (Effect.SET_CONFIG, Effect.ADVISORY_UNLOCK)
    assert (first.start, first.end) == (second.start, second.end)


def test_names_are_the_clients_bytes() -> None:
    for encoding in ("utf-8", "latin-1"):
        [one] = effects("listen Ünüsual".encode(encoding))
        assert "Ünüsual".encode(encoding) == one.names[0].encode("latin-1")


def test_names_are_cut_as_the_server_cuts_them() -> None:
    [one] = effects(("listen a" + "é" * 40).encode())
    assert ("a" + "é" * 31).encode() == one.names[0].encode("latin-1")


@pytest.mark.parametrize(
    "written", [r"\00e9", r"\+0000e9", "é"], ids=["four digits", "six digits", "plain"]
)
def test_escapes_in_a_name(written: str) -> None:
    [one] = effects(f'listen U&"caf{written}\\\\"'.encode())
    assert "café\\".encode() == one.names[0].encode("latin-1")


def test_an_escape_of_no_character_is_left() -> None:
    [one] = effects(rb'listen U&"a\+FFFFFFb"')
    assert (r"a\+FFFFFFb",) == one.names


@pytest.mark.parametrize(
    "sql",
    [
        b"",
        b";",
        b"\x00",
        b"\xff\xfe",
        b"set",
        b"set local",
        b"set session",
        b"set session authorization",
        b"set =",
        b"set a.",
        b"reset",
        b"listen",
        b"listen 'x'",
        b"prepare",
        b"execute",
        b"deallocate prepare all x",
        b"rollback to",
        b"declare",
        b"declare c",
        b"explain (",
        b"create",
        b"create temp",
        b"select set_config(",
        b"select set_config()",
        b"select set_config(,,)",
        b"select 1 into temp",
        b"do",
        b"set 'x",
        b'set "x',
        b"set $a$ x",
        b"set /* x",
        b'U&"\\',
        b"prepare \x00 as",
    ],
)
def test_unfinished_texts_raise_nothing(sql: bytes) -> None:
    for one in effects(sql):
        assert 0 <= one.start <= one.end <= len(sql)


def test_doubtful_calls_are_flagged() -> None:
    deep = "select set_config(" + "(" * 100 + "'role'" + ")" * 100 + ", 'x', true)"
    assert "SET_CONFIG" == shown(effects(deep.encode()))
    many = "select " + ", ".join(["set_config('role', 'x', true)"] * 100)
    assert "SET_CONFIG" == shown(effects(many.encode()))
    into = "select " + "into made, " * 100 + "into/**/x"
    assert "-" == shown(effects(into.encode()))
    hidden = "select temp " + "into/**/made, " * 100
    assert "TEMP" == shown(effects(hidden.encode()))


MEGABYTE = 1 << 20
HOSTILE = [
    ("set x=1;", "insert into t values (1, 'abc', now());\n"),
    ("set x=1;", "a "),
    ("set x=1;", "'' "),
    ("set x=1;", '"a" '),
    ("set x=1;", 'U&"\\0061" '),
    ("set x=1;", "-- \n"),
    ("set x=1;", "/**/"),
    ("set x=1;", "/*"),
    ("set x=1;", "$a$ $b"),
    ("set x=1;", "e'\\'"),
    ("set x=1;", ";"),
    ("", "\n"),
    ("", "/ "),
    ("", "\nset"),
    ("select ", "set_config("),
    ("select ", "set_config/**/"),
    ("select ", "into/**/temp, "),
    ("explain ", "("),
    ("create ", "pg_temp "),
    ("create temp table ", "as "),
    ("create temp table ", "commit "),
    ("create function ", "begin atomic;"),
    ("create function x begin atomic;", "end ; case "),
    ("create function x begin atomic;", ";"),
    ("create function x begin atomic;", "/**/;"),
    ("do $$", "set_"),
    ("do ", "language "),
    ("set ", "a."),
    ("declare c ", "x "),
]


@pytest.mark.parametrize(("head", "unit"), HOSTILE)
def test_a_hostile_text_costs_linear_time(head: str, unit: str) -> None:
    def seconds(size: int) -> float:
        text = (head + unit * (size // len(unit))).encode()
        started = time.process_time()
        effects(text)
        return time.process_time() - started

    small = max(min(seconds(MEGABYTE // 64) for _ in range(3)), 0.005)
    assert min(seconds(MEGABYTE // 8) for _ in range(2)) < 8 * 5 * small
