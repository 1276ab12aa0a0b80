from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from dbopt.sql.classify import NOTHING, Classification, classify
from dbopt.sql.query import Kind, Relation

DATA = Path(__file__).parent / "data"


class Case(NamedTuple):
    """A line of the data: a text, and what it does."""

    sql: str
    kind: str
    read_only: str
    reads: str = ""
    writes: str = ""
    notes: str = ""

    @property
    def expected(self) -> Classification:
        notes = self.notes.split()
        return Classification(
            Kind(self.kind),
            self.read_only == "yes",
            relations(self.reads),
            relations(self.writes),
            parsed="unparsed" not in notes,
            unqualified="unqualified" in notes,
        )


def cases(name: str) -> list[Case]:
    lines = (DATA / name).read_text(encoding="utf-8").splitlines()
    return [Case(*line.split("\t")) for line in lines if line and line[0] != "#"]


FILES = ("statements.tsv", *sorted(path.name for path in DATA.glob("classify_*.tsv")))
CASES = [case for name in FILES for case in cases(name)]


def relations(names: str) -> tuple[Relation, ...]:
    parts = [name.rpartition(".") for name in names.split(",") if name]
    return tuple(sorted(Relation(schema, name) for schema, _, name in parts))


@pytest.mark.parametrize("case", CASES, ids=[case.sql[:60] for case in CASES])
def test_class_of_each_statement(case: Case) -> None:
    found = classify(case.sql)
    assert case.expected == replace(found, ddl=False, doubts=())


def test_there_are_enough_examples() -> None:
    assert len({case.sql for case in CASES}) >= 800


def test_every_command_of_the_reference_is_among_them() -> None:
    texts = [case.sql.lower() for case in CASES]
    commands = (DATA / "commands.txt").read_text(encoding="utf-8").lower().splitlines()
    wanted = [command for command in commands if command[0] != "#"]
    assert len(wanted) >= 180
    assert [] == [one for one in wanted if not any(_is_of(text, one) for text in texts)]


def _is_of(text: str, command: str) -> bool:
    """Whether a text begins with the words of a command, others between them: CREATE temp TABLE."""
    words = iter(text.split()[:7])
    return all(word in words for word in command.split())


@pytest.mark.parametrize(
    ("text", "kind", "reads", "writes"),
    [
        ("select from where ((", Kind.READ, "", ""),
        ("delete from t where current of c", Kind.DELETE, "", "t"),
        ("update t set a = 1 where current of c", Kind.UPDATE, "", "t"),
        ("with x as (delete from a returning *) select )( from x", Kind.DELETE, "", "a"),
        ("select * from a join s.b ( on on", Kind.READ, "a,s.b", ""),
        ("insert into t select ) from u", Kind.INSERT, "u", "t"),
        ("frobnicate the widget", Kind.UTILITY, "", ""),
        ("select extract(year from b) from a )(", Kind.READ, "a", ""),
        ("select a is distinct from b from c )(", Kind.READ, "c", ""),
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
