from __future__ import annotations

import pytest

from dbopt.sql.findings import Severity
from dbopt.sql.rules.write_without_where import RULE
from tests.unit.sql.rules.asking import matches


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("delete from t", "DELETE without WHERE deletes every row of t."),
        ("update t set a = 1", "UPDATE without WHERE changes every row of t."),
        ("update only s.t as x set a = 1", "UPDATE without WHERE changes every row of t."),
        (
            "delete from t where true",
            "DELETE whose WHERE looks at no column deletes every row of t.",
        ),
        ("delete from t where 1 = 1", "DELETE whose WHERE looks at no column"),
        ("update t set a = b where $1", "UPDATE whose WHERE looks at no column"),
        ("delete from t returning *", "DELETE without WHERE"),
        ("update t set a = u.a from u", "UPDATE without WHERE"),
        ("delete from t using u", "DELETE without WHERE"),
        ("with gone as (delete from t returning a) select * from gone", "DELETE without WHERE"),
        ("explain analyze delete from t", "DELETE without WHERE"),
    ],
)
def test_fires(sql: str, message: str) -> None:
    (match,) = matches(RULE, sql)

    assert match.message.startswith(message)
    assert match.severity is None
    assert RULE.severity is Severity.CRITICAL
    assert not match.rewrite


@pytest.mark.parametrize(
    "sql",
    [
        "delete from t where a = 1",
        "delete from t where a",
        "update t set a = 1 where b is null",
        "update t set a = u.a from u where u.id = t.id",
        "delete from t using u where u.id = t.id",
        "delete from t where exists (select 1 from u where u.id = 3)",
        "delete from t where ctid = any (array(select ctid from t limit 10))",
        "merge into t using u on t.a = u.a when matched then update set a = 1",
        "merge into t using u on t.a = u.a when matched then delete",
        "insert into t (a) values (1) on conflict (a) do update set b = 2",
        "select * from t for update",
        "explain delete from t",
        "truncate t",
        "delete from t where current of c",
    ],
)
def test_passes(sql: str) -> None:
    assert [] == matches(RULE, sql)


def test_truncate_is_offered_only_for_a_plain_delete() -> None:
    plain, returning = "delete from t", "delete from t returning a"

    assert "TRUNCATE" in matches(RULE, plain)[0].remedy
    assert "" == matches(RULE, returning)[0].remedy
    assert "" == matches(RULE, "update t set a = 1")[0].remedy
