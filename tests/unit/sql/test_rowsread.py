from __future__ import annotations

import pytest

from dbopt.sql.features import features
from dbopt.sql.parse import parse, split
from dbopt.sql.rowsread import RowsRead, rows_read
from dbopt.sql.schema import Schema
from tests.unit.sql.complexity_support import BIG_ROWS, SCHEMA, relation


def found(text: str) -> RowsRead:
    tree = parse(split(text)[0])
    assert tree is not None
    return rows_read(features(tree, SCHEMA).blocks, SCHEMA)


def total(text: str) -> int:
    return round(found(text).total)


WHOLE = round(BIG_ROWS)


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("note = 1", WHOLE),
        ("id = 1", 1),
        ("id = $1", 1),
        ("$1 = id", 1),
        ("id in (1, 2, 3)", 3),
        ("id = any(array[1, 2, 3])", 3),
        ("id > 5", WHOLE / 3),
        ("id = note", WHOLE),
        ("id = abs(note)", WHOLE),
        ("owner = 1", 1000),
        ("owner = 1 and made > now()", 333),
        ("made > now()", WHOLE),
        ("owner = 1 or id = 1", WHOLE),
        ("lower(email) = 'x'", WHOLE / 200),
        ("upper(email) = 'x'", WHOLE),
        ("email = 'x'", WHOLE),
        ("tags @> $1", WHOLE / 100),
        ("small_id = 1", WHOLE),
    ],
)
def test_an_index_narrows_what_is_read(where: str, rows: float) -> None:
    assert round(rows) == total(f"select note from big where {where}")
    assert round(rows) == total(f"delete from big where {where}")


def test_a_partial_index_helps_nobody_since_its_predicate_is_not_compared() -> None:
    assert WHOLE == total("select note from big where small_id = 1 and state = 1")


@pytest.mark.parametrize(("predicate", "rows"), [("", 1), (" where kind = 1", 50)])
def test_what_is_unique_among_some_rows_is_not_among_all(predicate: str, rows: int) -> None:
    """Without statistics, 0.005 of the rows have one value of a column that is not unique."""
    table = relation(
        "t",
        10_000.0,
        f"create unique index on public.t (id){predicate}; create index on public.t (id, kind)",
        id=0,
        kind=0,
    )
    schema = Schema({table.relation: table})
    tree = parse(split("select kind from t where id = 1")[0])
    assert tree is not None

    assert rows == rows_read(features(tree, schema).blocks, schema).total


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("select 1 from small s join big b on b.id = s.kind", 200),
        ("select 1 from big b join small s on b.id = s.kind", 200),
        ("select 1 from big b, small s where b.id = s.kind", 200),
        ("select 1 from big join small using (id)", 200),
        ("select 1 from small s left join big b on b.id = s.kind", 200),
        ("select 1 from small s join big b on b.owner = s.kind", 100 * 1000 + 100),
        ("select 1 from small s join big b on b.note = s.kind", WHOLE + 100),
        ("select 1 from small s join big b on b.id = s.kind where s.id = 1", 2),
        ("select 1 from small s join big b on b.id > s.kind where s.id = 1", round(WHOLE / 3) + 1),
        ("update big set note = 1 from small s where big.id = s.kind", 200),
        ("merge into big b using small s on b.id = s.kind when matched then delete", 200),
    ],
)
def test_few_rows_of_one_table_narrow_the_other(text: str, rows: int) -> None:
    assert rows == pytest.approx(total(text), abs=1)


def test_narrowing_goes_through_a_chain_of_joins() -> None:
    text = "select 1 from big a join big b on b.id = a.note join big c on c.id = b.note"
    assert 3 == total(f"{text} where a.id = 1")
    assert 3 * WHOLE == total(text)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("select note from big limit 10", 10),
        ("select note from big limit 10 offset 90", 100),
        ("select note from big limit $1", 100),
        ("select note from big fetch first 10 rows only", 10),
        ("select note from big order by id limit 10", 10),
        ("select note from big order by note limit 10", WHOLE),
        ("select note from big where owner = 1 order by made limit 10", 10),
        ("select note from big where owner = 1 order by note limit 10", 1000),
        ("select count(*) from big limit 10", WHOLE),
        ("select distinct note from big limit 10", WHOLE),
        ("select note from big group by note limit 10", WHOLE),
        ("select row_number() over () from big limit 10", WHOLE),
        ("select note from big, f() limit 10", WHOLE),
    ],
)
def test_a_limit_ends_the_reading_where_nothing_needs_all(text: str, rows: int) -> None:
    assert rows == total(text)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("select (select count(*) from small) from big where id = 1", 101),
        ("select (select name from small where id = big.note) from big where owner = 1", 2000),
        ("select 1 from big where id in (select kind from small)", 200),
        ("select 1 from small s where exists (select 1 from big where id = s.kind)", 200),
        ("select 1 from big b where exists (select 1 from small where kind = b.note)", WHOLE + 100),
        ("select 1 from (select kind from small limit 5) x join big on big.id = x.kind", 10),
        ("with x as (select kind from small) select 1 from x join big on big.id = x.kind", 200),
        ("select 1 from (select max(kind) m from small) x join big on big.id = x.m", 101),
        ("select 1 from small s, lateral (select 1 from big where owner = s.id limit 3) x", 400),
        ("select id from big union all select id from small", WHOLE + 100),
        ("insert into small (id) select note from big", WHOLE),
    ],
)
def test_subqueries(text: str, rows: int) -> None:
    assert rows == pytest.approx(total(text), abs=1)


def test_a_view_has_the_rows_of_its_tables() -> None:
    assert WHOLE + 100 == total("select 1 from seen where owner = 1")


def test_rows_are_told_apart_by_table() -> None:
    rows = found("select 1 from big, small, nobody")
    assert {"big": BIG_ROWS, "small": 100.0} == rows.of_table


def test_an_unknown_table_is_no_block_of_known_rows() -> None:
    rows = found("select 1 from nobody where a in (select 1 from small)")
    assert [100.0] == list(rows.of_block.values())
    assert 0 == found("select 1 from nobody").total
