from __future__ import annotations

import pytest

from dbopt.sql.rules.select_star import RULE
from tests.unit.sql.rules.asking import matches
from tests.unit.sql.rules.sample import SAMPLE

FIRES = [
    "select * from users",
    "SELECT u.* FROM users u WHERE id = $1",
    "select *, 1 as x from users",
    "select * from orders o join users u on u.id = o.user_id",
    "select * from (select * from users) s",
    "with x as (select * from users) select * from x",
    "select id from orders union all select * from banned",
    "insert into banned select * from archive",
    "table users",
    "(select * from users) order by 1 limit 1",
    "explain select * from users",
]
PASSES = [
    "select id, name from users",
    "select count(*) from users",
    "select id from users u where exists (select * from orders o where o.user_id = u.id)",
    "select * from (select id, name from users) s",
    "with x as (select id from users) select * from x",
    "with x as (select * from users) select id from x",
    "select count(*) from (select * from users) s",
    "select * from generate_series(1, 10)",
    "select * from (values (1, 2)) v(a, b)",
    "select * from pg_stat_activity",
    "select * from information_schema.tables",
    "select * from pg_catalog.pg_class",
    "insert into banned (user_id) values (1) returning *",
    "create view v as select * from users",
    "select id * 2 from users",
    "with recursive r as (select 1 as n union all select n + 1 from r) select * from r",
]


@pytest.mark.parametrize("text", FIRES)
def test_fires(text: str) -> None:
    assert 1 == len(matches(RULE, text))


@pytest.mark.parametrize("text", PASSES)
def test_passes(text: str) -> None:
    assert [] == matches(RULE, text)
    assert [] == matches(RULE, text, SAMPLE)


def test_names_the_tables_and_their_columns() -> None:
    (found,) = matches(RULE, "select * from banned b", SAMPLE)
    assert "SELECT * reads all 2 columns of banned." == found.message
    assert "Name the columns that are needed, of: user_id, reason." == found.remedy


def test_what_is_not_known_is_not_counted() -> None:
    (found,) = matches(RULE, "select * from banned, elsewhere", SAMPLE)
    assert "SELECT * reads every column of banned, elsewhere." == found.message
    assert "" == found.remedy


def test_a_qualified_star_speaks_of_its_table_alone() -> None:
    (found,) = matches(RULE, "select b.*, u.id from users u join banned b on true", SAMPLE)
    assert "SELECT * reads all 2 columns of banned." == found.message
