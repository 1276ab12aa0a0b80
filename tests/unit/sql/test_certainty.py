from __future__ import annotations

import pytest

from dbopt.sql.analyze import analyze
from dbopt.sql.certainty import names_a_day
from dbopt.sql.query import Query, Relation
from dbopt.sql.schema import RelationKind, Schema, SchemaRelation


def known(
    name: str,
    kind: RelationKind = RelationKind.TABLE,
    *,
    reads: tuple[str, ...] = (),
    functions: tuple[tuple[str, str], ...] = (),
    row_security: bool = False,
) -> SchemaRelation:
    return SchemaRelation(
        Relation("public", name),
        kind,
        reads=tuple(Relation("public", one) for one in reads),
        functions=functions,
        row_security=row_security,
    )


EVERY = [
    known("t"),
    known("u"),
    known("hidden", row_security=True),
    known("far", RelationKind.FOREIGN),
    known("seq", RelationKind.SEQUENCE),
    known("plain", RelationKind.VIEW, reads=("t",)),
    known("guarded", RelationKind.VIEW, reads=("hidden",)),
    known("dice", RelationKind.VIEW, reads=("t",), functions=(("pg_catalog", "random"),)),
    known("clock", RelationKind.VIEW, functions=(("pg_catalog", "now"),)),
    known("acts", RelationKind.VIEW, reads=("t",), functions=(("public", "wild"),)),
]
SCHEMA = Schema(
    {one.relation: one for one in EVERY},
    functions={("public", "calm"): "i", ("public", "stable"): "s", ("public", "wild"): "v"},
)


def judged(text: str) -> Query:
    return analyze(text, schema=SCHEMA)


@pytest.mark.parametrize(
    "text",
    [
        "select a from t where b = 1",
        "select a, lower(c) from t join u using (a) order by a limit 10",
        "select count(*), sum(a), coalesce(a, b) from t group by c",
        "select a from plain",
        "select calm(a) from t",
        "values (1), (2)",
        "with x as (select a from t) select * from x",
        "select string_agg(a, ',' order by a) from t",
        "select row_number() over (order by a) from t",
        "select distinct on (a) a, b from t order by a, b",
        "select exists (select a from t limit 1)",
        "select a::date, cast(b as int), date '2020-01-01' from t",
        "select a from (select a from t order by a limit 3) x",
    ],
)
def test_what_may_be_kept(text: str) -> None:
    query = judged(text)
    assert () == query.uncacheable_because
    assert (True, True) == (query.cacheable, query.deterministic)


@pytest.mark.parametrize(
    ("text", "because", "deterministic"),
    [
        ("select random()", "calls random(), which is volatile", False),
        ("select wild(1)", "calls wild(), which is volatile", False),
        ("select nowhere(1)", "calls nowhere(), whose volatility is not known", False),
        ("select now()", "calls now(), which is stable", False),
        ("select current_timestamp", "calls current_timestamp(), which is stable", False),
        ("select stable(1)", "calls stable(), which is stable", True),
        ("select to_char(a, 'x') from t", "calls to_char(), which is stable", True),
        ("select extract(year from a) from t", "calls extract(), which is stable", True),
        ("select current_user", "depends on current_user", True),
        ("select user", "depends on user", True),
        (
            "select current_setting('x')",
            "calls current_setting(), which depends on the session's settings",
            True,
        ),
        ("select a from t limit 3", "LIMIT without ORDER BY", False),
        ("select a from t offset 3", "LIMIT without ORDER BY", False),
        ("select a from t fetch first row only", "LIMIT without ORDER BY", False),
        ("select a from (select a from t limit 3) x", "LIMIT without ORDER BY", False),
        ("select distinct on (a) a from t", "DISTINCT ON without ORDER BY", False),
        ("select a from t tablesample system (1)", "reads a sample", False),
        ("select row_number() over () from t", "window function without ORDER BY", False),
        ("select array_agg(a) from t", "array_agg() without ORDER BY", False),
        ("select string_agg(a, ',') from t", "string_agg() without ORDER BY", False),
        ("select a from t for share", "locks rows", True),
        ("select * from pg_class", "reads pg_class, which is the system's own", False),
        (
            "select * from information_schema.tables",
            "reads information_schema.tables, which is the system's own",
            False,
        ),
        ("select * from pg_temp.x", "reads pg_temp.x, a temporary table", True),
        ("select * from far", "reads public.far, a foreign table", False),
        ("select * from seq", "reads public.seq, a sequence", False),
        ("select * from hidden", "row-level security may hide rows of public.hidden", True),
        ("select * from guarded", "row-level security may hide rows of public.hidden", True),
        ("select * from dice", "view dice calls random(), which is volatile", False),
        ("select * from clock", "view clock calls now(), which is stable", False),
        (
            "select * from x",
            "row-level security cannot be excluded: nothing is known of x",
            True,
        ),
        ("update t set a = 1 where b = 2", "writes", True),
        ("select * into x from t", "writes", True),
        ("create table x ()", "writes", False),
        ("grant select on t to u", "writes", False),
        ("copy t from stdin", "is no query: copy", False),
        ("explain select a from t", "is no query: explain", False),
        ("prepare x as select a from t", "is no query: session", False),
        ("begin", "is no query: transaction", False),
        ("call p()", "is no query: call", False),
        ("select a from t; select b from t", "several statements", True),
        ("select )(", "could not be parsed", False),
        ("", "could not be parsed", False),
    ],
)
def test_why_it_may_not_be_kept(text: str, because: str, deterministic: bool) -> None:
    query = judged(text)
    assert (because,) == query.uncacheable_because
    assert (False, deterministic) == (query.cacheable, query.deterministic)


def test_without_a_schema_no_relation_is_sure() -> None:
    query = analyze("select a from t")
    expected = "row-level security cannot be excluded: nothing is known of t"
    assert (expected,) == query.uncacheable_because
    assert query.deterministic
    assert analyze("select 1 + 1").cacheable


def test_each_reason_is_told_once() -> None:
    reasons = judged("select now(), now(), random() from t limit 1").uncacheable_because
    assert sorted(set(reasons)) == sorted(reasons)
    assert 3 == len(reasons)


def test_a_view_that_may_write_is_not_read_only() -> None:
    assert not judged("select * from acts").read_only
    assert judged("select * from dice").read_only
    assert (Relation("public", "acts"), Relation("public", "t")) == judged(
        "select * from acts"
    ).reads


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select 'today'::date", True),
        ("select $$ Yesterday 12:00 $$::timestamp", True),
        ("select '2020-01-01'::date, today from t", False),
    ],
)
def test_strings_that_mean_a_day(text: str, expected: bool) -> None:
    assert expected == names_a_day(text)
