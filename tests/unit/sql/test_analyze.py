from __future__ import annotations

import time

import pytest
from sqlglot import exp

from dbopt.sql.analyze import Analyzer, analyze
from dbopt.sql.classify import judge
from dbopt.sql.fingerprint import fingerprint
from dbopt.sql.parse import LONGEST_READ
from dbopt.sql.query import ColumnUse, Kind, Relation, Role
from dbopt.sql.schema import Schema, SchemaColumn, SchemaRelation


def test_everything_at_once() -> None:
    text = "SELECT name FROM users WHERE email = 'a@b.c' /*route='x'*/"
    query = analyze(text)
    assert "SELECT name FROM users WHERE email = $1" == query.text
    assert fingerprint(text) == query.fingerprint
    assert (Kind.READ, True, True) == (query.kind, query.read_only, query.parsed)
    assert ((Relation("", "users"),), ()) == (query.reads, query.writes)
    assert 11 == query.complexity.score


HOSTILE = [
    "",
    "\x00\x01\x02",
    "\udcff\ud800",
    "select " + "(" * 10_000,
    "select " + "(" * 10_000 + "1" + ")" * 10_000,
    "select * from (" * 10_000 + "select 1" + ") x" * 10_000,
    "select 1 where " + " or ".join(["a = b"] * 5_000),
    "select * from t where " + " and ".join(["exists (select 1 from a where a.b = t.c)"] * 500),
    "select * from a" + ", a" * 10_000 + " where " + "a.b = c.d and " * 1_000 + "true",
    " union ".join(["select 1"] * 3_000),
    "explain " * 100_000,
    "copy (" * 100_000,
    "insert into t values " + ", ".join(["(1, 2, 3)"] * 80_000),
    "select a" + "[1]" * 20_000,
    "create function begin atomic " + "x;" * 10_000,
    "'" * 1_000_001,
]


@pytest.mark.parametrize("text", HOSTILE, ids=[f"{text[:20]!a}" for text in HOSTILE])
def test_hostile_text_is_judged_in_bounded_time(text: str) -> None:
    """Nothing raises; a quadratic step would take minutes. The bound allows for a busy machine."""
    started = time.process_time()
    query = analyze(text)
    assert fingerprint(text) == query.fingerprint
    assert time.process_time() - started < 5.0


def test_the_memory_is_by_fingerprint() -> None:
    analyzer = Analyzer()
    first = analyzer.analyze("select a from t where b = 1")
    assert first is analyzer.analyze("SELECT a FROM t WHERE b = 2")
    assert first is analyzer.known(first.fingerprint)
    assert 1 == len(analyzer)


def test_the_memory_forgets_what_was_used_longest_ago() -> None:
    analyzer = Analyzer(capacity=2)
    a, b = analyzer.analyze("select a"), analyzer.analyze("select b")
    analyzer.analyze("select a")
    c = analyzer.analyze("select c")
    found = [analyzer.known(query.fingerprint) for query in (a, b, c)]
    assert [a, None, c] == found


def test_the_limit_is_the_analyzers() -> None:
    assert "extreme" == Analyzer(limit=5).analyze("select a").complexity.grade


def test_what_was_judged_is_counted() -> None:
    analyzer = Analyzer()
    for text in ("select 1", "select 2", "select )(", "select a from t"):
        analyzer.analyze(text)
    assert (2, 1) == (analyzer.parsed, analyzer.unparsed)


def test_several_statements() -> None:
    query = analyze("begin; update t set a = 1; select b from u where c = 1; drop table v; end")
    assert (5, Kind.DDL, True, True) == (
        query.statements,
        query.kind,
        query.ddl,
        query.unqualified,
    )
    assert ["t", "v"] == [relation.name for relation in query.writes]
    assert [("u", "b"), ("u", "c")] == [(use.relation.name, use.column) for use in query.columns]


def test_sources_of_several_statements_are_told_apart() -> None:
    columns = analyze("select a from t; select 1 from t join u on t.b = u.c").columns
    assert [("a", 0), ("b", 1), ("c", 2)] == [(use.column, use.source) for use in columns]


@pytest.mark.parametrize(
    ("text", "ddl"),
    [
        ("create table x as select 1", True),
        ("select 1 into x", True),
        ("explain analyze create table x as select 1", True),
        ("explain create table x as select 1", False),
        ("grant select on x to y", False),
        ("select 1; drop table x", True),
        ("alter role x with login", True),
    ],
)
def test_ddl_wherever_it_is(text: str, ddl: bool) -> None:
    assert ddl == analyze(text).ddl


def test_a_schema_resolves_names() -> None:
    table = SchemaRelation(
        Relation("app", "t"), columns={"a": SchemaColumn("a", "int")}, row_security=False
    )
    schema = Schema({table.relation: table}, search_path=("app",))
    query = Analyzer(schema=schema).analyze("select a from t")
    assert (table.relation,) == query.reads
    assert (ColumnUse(table.relation, 0, "a", Role.PROJECT),) == query.columns
    assert query.cacheable


def test_the_class_of_a_statement_inside_another() -> None:
    [prepared] = judge("prepare x as delete from t where a = 1")
    assert ("delete from t where a = 1", prepared.source) == (prepared.source.text, prepared.inner)
    assert isinstance(prepared.tree, exp.Delete)
    assert (Kind.SESSION, False) == (prepared.does.kind, prepared.does.read_only)
    [plain] = judge("select 1")
    assert plain.source is plain.statement


def test_what_was_not_read_to_its_end_is_not_remembered() -> None:
    analyzer = Analyzer()
    padded = f"/* {'x' * LONGEST_READ} */ DELETE FROM t"
    assert fingerprint("DELETE FROM t") == fingerprint(padded)
    assert not analyzer.analyze(padded).parsed
    assert analyzer.analyze("DELETE FROM t").unqualified
    assert analyzer.analyze(padded).parsed, "what is known of it is of the same statement"
