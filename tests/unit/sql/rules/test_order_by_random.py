from __future__ import annotations

from dataclasses import replace

import pytest

from dbopt.sql.rules.order_by_random import RULE
from dbopt.sql.schema import Schema
from tests.unit.sql.rules.asking import matches
from tests.unit.sql.rules.sample import SAMPLE

FIRES = [
    "select id from users order by random() limit 5",
    "select id from users where active order by RANDOM() limit 1",
    "select id from users order by gen_random_uuid() limit 5",
    "select id from users order by -log(random()) / score limit 5",
    "select id from (select id from users order by random() limit 5) s order by id",
    "select id from users order by country, random()",
]
PASSES = [
    "select random() from users order by id",
    "select n from generate_series(1, 10) n order by random()",
    "select v from (values (1), (2)) v(n) order by random()",
    "select row_number() over (order by random()) from users",
    "select array_agg(id order by random()) from users",
    "select id from users order by randomness",
    "select id from users where id > random() * 1000 order by id limit 1",
    "select random() order by random()",
]


@pytest.mark.parametrize("text", FIRES)
def test_fires(text: str) -> None:
    assert 1 == len(matches(RULE, text))
    assert 1 == len(matches(RULE, text, SAMPLE))


@pytest.mark.parametrize("text", PASSES)
def test_passes(text: str) -> None:
    assert [] == matches(RULE, text)


def test_a_small_table_is_let_pass() -> None:
    small = {key: replace(table, rows=100.0) for key, table in SAMPLE.relations.items()}
    assert [] == matches(RULE, FIRES[0], Schema(relations=small))
