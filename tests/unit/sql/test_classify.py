from __future__ import annotations

from pathlib import Path

import pytest

from dbopt.sql.classify import NOTHING, classify
from dbopt.sql.query import Kind, Relation

DATA = Path(__file__).parent / "data" / "statements.tsv"


def rows() -> list[list[str]]:
    lines = DATA.read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if line and line[0] != "#"]


def relations(names: str) -> tuple[Relation, ...]:
    parts = [name.rpartition(".") for name in names.split(",") if name]
    return tuple(sorted(Relation(schema, name) for schema, _, name in parts))


@pytest.mark.parametrize(
    ("text", "kind", "read_only", "reads", "writes"), rows(), ids=[row[0] for row in rows()]
)
def test_class_of_each_statement(
    text: str, kind: str, read_only: str, reads: str, writes: str
) -> None:
    found = classify(text)
    expected = (Kind(kind), read_only == "yes", relations(reads), relations(writes))
    assert expected == (found.kind, found.read_only, found.reads, found.writes)


def test_there_are_enough_examples() -> None:
    assert len(rows()) >= 80


@pytest.mark.parametrize(
    ("text", "kind", "reads", "writes"),
    [
        ("select from where ((", Kind.READ, "", ""),
        ("delete from t where current of c", Kind.DELETE, "", "t"),
        ("update t set a = 1 where current of c", Kind.UPDATE, "", "t"),
        ("with x as (delete from a returning *) select )( from x", Kind.DELETE, "", "a"),
        ("select * from a join s.b ( on on", Kind.READ, "a,s.b", ""),
        ("insert into t select ( from u", Kind.INSERT, "u", "t"),
        ("frobnicate the widget", Kind.UTILITY, "", ""),
        ("create trigger g before insert on t for each row execute function f()", Kind.DDL, "", ""),
        ("import foreign schema x from server y into z", Kind.DDL, "server", "z"),
    ],
)
def test_what_cannot_be_parsed_is_never_read_only(
    text: str, kind: Kind, reads: str, writes: str
) -> None:
    found = classify(text)
    expected = (kind, False, relations(reads), relations(writes))
    assert expected == (found.kind, found.read_only, found.reads, found.writes)


@pytest.mark.parametrize("text", ["", "   ", ";;", "-- nothing", "/* nothing */"])
def test_an_empty_text_is_nothing(text: str) -> None:
    assert NOTHING == classify(text)


def test_a_function_of_the_application_may_be_declared_harmless() -> None:
    found = classify(
        "select app.score(1)", harmless=lambda schema, name: (schema, name) == ("app", "score")
    )
    assert found.read_only


@pytest.mark.parametrize(
    "text",
    [
        "select " + "(" * 10_000 + "1" + ")" * 10_000,
        "select * from (" * 10_000 + "select 1" + ") x" * 10_000,
        "select " + "case when a then " * 5_000 + "1" + " end" * 5_000,
        "explain " * 10_000,
        "copy (" * 10_000,
        "select a" + "[1]" * 20_000,
        "select a" + ".f(1)" * 10_000,
        "select '" + "x" * 1_000_000,
        "create function begin atomic " + "x;" * 10_000,
        "\x00\x01\udcff",
    ],
    ids=lambda text: text[:24].encode("unicode_escape").decode(),
)
def test_hostile_text_is_classed_and_not_read_only(text: str) -> None:
    assert not classify(text).read_only
