from __future__ import annotations

import pytest

from dbopt.sql.findings import Severity
from dbopt.sql.rules.concatenated_values import FEWEST, RULE
from tests.unit.sql.rules.asking import matches


def do(body: str) -> str:
    return f"do $$ declare v text; begin {body} end $$"


@pytest.mark.parametrize(
    "body",
    [
        "execute 'delete from t where a = ' || v;",
        "execute 'delete from t where a = ''' || v || '''';",
        "execute v || ' where a = 1';",
        "execute 'select 1 from t where a = ' || rec.name into v;",
        "execute 'select ' || $1 using v;",
        "execute format('delete from t where a = %s', v);",
        "execute format('delete from %I where a = ''%1$s''', t, v);",
        "execute quote_literal(v) || v;",
        "return query execute 'select * from t where a = ' || v;",
        "for r in execute 'select ' || v loop null; end loop;",
    ],
)
def test_dynamic_sql_of_concatenated_values(body: str) -> None:
    (match,) = matches(RULE, do(body))

    assert "EXECUTE of SQL that values are concatenated into." == match.message
    assert "USING" in match.remedy
    assert match.severity is None


@pytest.mark.parametrize(
    "head",
    [
        "create function f() returns void language plpgsql as",
        "create or replace function f() returns void as",
        "create procedure f() language plpgsql as",
    ],
)
def test_in_functions_too(head: str) -> None:
    body = "$body$ begin execute 'a' || b; execute 'c' || d; end $body$"
    (match,) = matches(RULE, f"{head} {body}")

    assert {"executes": 2} == match.evidence
    assert "2 times" in match.message


@pytest.mark.parametrize(
    "sql",
    [
        do("execute 'delete from t where a = $1' using v;"),
        do("execute format('delete from %I where a = $1', t) using v;"),
        do("execute format('delete from t where a = %L', v);"),
        do("execute format('like ''%%s''');"),
        do("execute 'delete from t where a = ' || quote_literal(v);"),
        do("execute 'delete from ' || quote_ident(t) || ' where a = ' || quote_nullable(v);"),
        do("execute 'select 1 ' || 'from t';"),
        do("execute v;"),
        do("v := 'a' || v; perform f('x' || v);"),
        do("raise notice 'execute %', 'a' || v;"),
        do("grant execute on function f to u; v := a || b;"),
        "create trigger g after insert on t execute function f()",
        "select 'execute ' || a from t",
        "execute prepared ('a' || b)",
        "select $$ execute 'a' || b; $$",
    ],
)
def test_other_texts_pass(sql: str) -> None:
    assert [] == matches(RULE, sql)


@pytest.mark.parametrize(
    "sql",
    [
        "select * from users where name = 'x' or 1=1",
        "select * from users where name = '' or '1'='1'",
        "select * from users where (name = 'x' or ('a' = 'a')) and id = 3",
        "delete from users where id = 3 or 1 = 1",
        "select * from users where name = 'admin' --' and password = 'x'",
        "select * from users where name = 'admin'; --'",
        "select 1 from users where name = 'admin'--'",
    ],
)
def test_what_an_injection_leaves(sql: str) -> None:
    (match,) = matches(RULE, sql)

    assert Severity.CRITICAL is match.severity
    assert "injection" in match.message


@pytest.mark.parametrize(
    "sql",
    [
        "select * from users where 1 = 1 and name = 'x'",
        "select * from users where 1 = 1",
        "select * from users where name = 'x' or 1 = 2",
        "select * from users where name = 'x' or a = a",
        "select * from users where name = 'x' or $1 = $1",
        "select * from users where name = 'x' -- don't know why",
        "select * from users where name = 'x' -- 'quoted' at the start\n\n",
        "select * from users where name = 'it''s -- '' or 1=1'",
        "select 'a' || name from users",
    ],
)
def test_near_misses(sql: str) -> None:
    assert [] == matches(RULE, sql)


def test_one_statement_with_many_constants() -> None:
    text = "\n".join(f"select * from users where name = 'n{n}';" for n in range(FEWEST))
    (match,) = matches(RULE, text)

    assert "5 statements differ in their constants alone" in match.message
    assert {"statements": 5, "lines": [1, 2, 3, 4, 5]} == match.evidence


@pytest.mark.parametrize(
    "pattern",
    [
        "select * from users where name = 'same';",
        "select * from users where name = $1 and id = {n};",
        "insert into users values ({n});",
        "select {n};",
        "select f({n}) from users;",
    ],
)
def test_parameters_inserts_and_the_same_text_pass(pattern: str) -> None:
    assert [] == matches(RULE, "\n".join(pattern.format(n=n) for n in range(9)))
