from __future__ import annotations

import pytest

from dbopt.sql.inside import created_as, declared, elements, explained, prepared
from dbopt.sql.parse import Statement, split


def one(text: str) -> Statement:
    [statement] = split(text)
    return statement


@pytest.mark.parametrize(
    ("text", "inner", "runs"),
    [
        ("explain select 1", "select 1", False),
        ("explain analyze verbose select 1", "select 1", True),
        ("EXPLAIN (ANALYZE, FORMAT json) delete from t", "delete from t", True),
        ("explain (analyze false) select 1", "select 1", True),
        ("explain (costs off) (select 1)", "(select 1)", False),
        ("explain (select 1)", "(select 1)", False),
        ('explain ("analyze") select 1', "select 1", True),
        ('explain (U&"\\0061nalyze") select 1', "select 1", True),
        ("explain", "", False),
    ],
)
def test_explain(text: str, inner: str, runs: bool) -> None:
    found = explained(one(text))
    assert (inner, runs) == (found.statement.text, found.runs)


@pytest.mark.parametrize(
    ("text", "inner"),
    [
        ("prepare x as select 1", "select 1"),
        ("prepare x (int, numeric(1, 2)) as delete from t", "delete from t"),
        ('prepare "as" as values (1)', "values (1)"),
        ("prepare x", None),
        ("prepare transaction 'x'", None),
    ],
)
def test_prepare(text: str, inner: str | None) -> None:
    found = prepared(one(text))
    assert inner == (found and found.text)


@pytest.mark.parametrize(
    ("text", "inner"),
    [
        ("declare c cursor for select 1", "select 1"),
        ("declare c binary no scroll cursor with hold for table t", "table t"),
        ('declare "for" cursor for select 1 for update', "select 1 for update"),
        ("declare c cursor", None),
    ],
)
def test_declare(text: str, inner: str | None) -> None:
    found = declared(one(text))
    assert inner == (found and found.text)


@pytest.mark.parametrize(
    ("text", "inner"),
    [
        ("create table t as select 1", "select 1"),
        ("create table t as select 1 with no data", "select 1"),
        ("create unlogged table t (a) with (fillfactor = 9) as table u with data", "table u"),
        ("create or replace temp recursive view v (a) as select 1", "select 1"),
        ("create view v as select a as b from c with local check option", "select a as b from c"),
        ("create materialized view if not exists m as values (1)", "values (1)"),
        ("create table t (a int default cast(1 as int))", None),
        ("create rule r as on insert to t do nothing", None),
        ("create sequence s as int", None),
        ("create", None),
    ],
)
def test_create_as(text: str, inner: str | None) -> None:
    found = created_as(one(text))
    assert inner == (found and found.text)


def test_the_elements_of_a_schema() -> None:
    found = elements(one("create schema s authorization u create table t (a int) grant x to y"))
    assert ["create table t (a int)", "grant x to y"] == [element.text for element in found]
    assert [] == elements(one("create schema s"))
