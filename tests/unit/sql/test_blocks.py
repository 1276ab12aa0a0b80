from __future__ import annotations

import pytest
from sqlglot import exp

from dbopt.sql.blocks import BLOCKS, Block
from dbopt.sql.features import features
from dbopt.sql.parse import parse, split
from dbopt.sql.query import Relation
from tests.unit.sql.complexity_support import SCHEMA


def blocks(text: str, known: bool = False) -> list[Block]:
    tree = parse(split(text)[0])
    assert tree is not None
    return features(tree, SCHEMA if known else None).blocks


@pytest.mark.parametrize(
    ("text", "sources"),
    [
        ("select 1", []),
        ("select 1 from t", ["t"]),
        ("select 1 from S.T as a, lateral (select 1) b", ["a", "b"]),
        ('select 1 from "T", f(1), f(1) as g', ["T", "", "g"]),
        ("select 1 from (t join u using (a)) join v using (a)", ["t", "u", "v"]),
        ("select 1 from ((t join u using (a)) join v using (a))", ["t", "u", "v"]),
        ("select 1 from t join (u join v using (a)) using (b)", ["t", "u", "v"]),
        ("update t set a = 1 from u, v", ["t", "u", "v"]),
        ("update t as x set a = 1 from u join v using (a)", ["x", "u", "v"]),
        ("delete from t using u, v as w", ["t", "u", "w"]),
        ("merge into t using s on t.a = s.a when matched then delete", ["t", "s"]),
    ],
)
def test_sources(text: str, sources: list[str]) -> None:
    assert sources == [source.name for source in blocks(text)[0].sources]


def test_a_relation_is_what_the_text_names_but_no_cte() -> None:
    [block, _] = blocks("with x as (select 1) select 1 from x, s.x, t")
    assert [None, Relation("s", "x"), Relation("", "t")] == [s.relation for s in block.sources]


@pytest.mark.parametrize(
    ("text", "roles"),
    [
        ("select 1", [""]),
        ("(select 1)", [""]),
        ("insert into t select 1", ["source"]),
        ("select (select 1)", ["", "subquery"]),
        ("select 1 where exists (select 1) and a in (select 1)", ["", "exists", "exists"]),
        ("with x as (select 1) select 1", ["", "cte"]),
        ("select 1 union select 2", ["set", "set"]),
        ("select 1 from (select 1) x", ["", "subquery"]),
    ],
)
def test_roles(text: str, roles: list[str]) -> None:
    assert roles == [block.role for block in blocks(text)]


@pytest.mark.parametrize(
    ("where", "narrowings"),
    [
        ("a = 1", 1),
        ("1 = a", 1),
        ("a = $1 and b = $2", 2),
        ("a is not distinct from 1", 1),
        ("a in (1, 2)", 1),
        ("(a, b) = (1, 2)", 1),
        ("(a, b) in ((1, 2), (3, 4))", 1),
        ("a = any($1)", 1),
        ("tags @> $1", 1),
        ("tags && $1", 1),
        ("a = 1 or a = 2", 1),
        ("(a = 1 and c > 2) or (b = 1)", 1),
        ("a = 1 or c > 2", 0),
        ("a > 1", 0),
        ("a = b", 0),
        ("a <> 1", 0),
        ("not (a = 1)", 0),
        ("a in (select 1)", 0),
        ("a = (select 1)", 0),
        ("lower(a) = 'x'", 0),
        ("a like 'x%'", 0),
    ],
)
def test_what_narrows(where: str, narrowings: int) -> None:
    assert narrowings == blocks(f"select 1 from t where {where}")[0].narrowings


def test_the_condition_of_an_inner_join_narrows_and_that_of_an_outer_does_not() -> None:
    assert blocks("select 1 from t join u on u.a = 1 and t.b = u.b")[0].narrowed
    assert not blocks("select 1 from t left join u on u.a = 1 and t.b = u.b")[0].narrowed
    assert blocks("merge into t using s on t.a = 1 when matched then delete")[0].narrowed


def test_spread_counts_inner_tables_without_an_equality_of_their_own() -> None:
    assert 2 == blocks("select 1 from t, u, v where t.a = 1 and u.x = v.x")[0].spread
    assert 0 == blocks("select 1 from t left join u using (a) where t.a = 1")[0].spread
    assert 0 == blocks("select 1 from t where a = 1 and b = 2")[0].spread


@pytest.mark.parametrize(
    ("text", "correlated"),
    [
        ("select (select 1 from u where u.x = t.x) from t", True),
        ("select (select 1 from u where u.x = 1) from t", False),
        ("select (select 1 from u where x = y) from t", False),
        ("select (select 1 from u, v where x = y) from t", False),
        ("select (select 1 where x = 1) from t", True),
        ("select 1 from t, (select t.x from t) s", False),
        ("select 1 from t, lateral (select t.x) s", True),
        ("select 1 from t, (select count(*) as n from u order by n) s where s.n = 1", False),
        ("with c as (select t.x from t) select 1 from c, t", False),
    ],
)
def test_correlation(text: str, correlated: bool) -> None:
    assert correlated is any(block.correlated for block in blocks(text))


def test_a_schema_tells_whose_a_bare_column_is() -> None:
    text = "select (select count(*) from big where owner = kind) from small"
    assert not any(block.correlated for block in blocks(text))
    assert [False, True] == [block.correlated for block in blocks(text, known=True)]


def test_a_subquerys_columns_are_those_that_it_gives() -> None:
    text = "select {} from (select a, b as c, count(*) from t) as x, big"
    column = exp.column
    [block, _] = blocks(text.format("1"), known=True)
    assert ["x", "x", "big", None] == [
        source.name if source else None
        for source in map(block.source_of, (column("a"), column("c"), column("owner"), column("b")))
    ]


def test_renamed_columns_and_ctes() -> None:
    [block, *_] = blocks("with x (p, q) as (select a, b from t) select 1 from x, big", known=True)
    assert {"p", "q"} == set(block.sources[0].columns)
    [block, *_] = blocks("with x as (select * from t) select 1 from x, big", known=True)
    assert [] == list(block.sources[0].columns)


def test_every_block_is_read_once() -> None:
    text = "with c as (delete from t returning a) select (select 1), b from c union select 2, 3"
    tree = parse(split(text)[0])
    assert tree is not None
    assert {id(n) for n in tree.find_all(*BLOCKS)} == {id(b.node) for b in features(tree).blocks}
