from __future__ import annotations

import pytest

from dbopt.sql.rules.null_comparison import RULE
from tests.unit.sql.rules.asking import matches, rewrites


@pytest.mark.parametrize(
    ("sql", "message", "remedy"),
    [
        ("select 1 from t where a = null", "`= NULL` gives NULL", "Write a IS NULL;"),
        ("select 1 from t where null = t.a", "`= NULL` gives NULL", "Write t.a IS NULL;"),
        ("select 1 from t where a <> null", "`<> NULL` gives NULL", "Write a IS NOT NULL;"),
        ("select 1 from t where a != null", "`<> NULL` gives NULL", "Write a IS NOT NULL;"),
        ("select 1 from t where a = (null)", "`= NULL` gives NULL", "Write a IS NULL;"),
        ("select 1 from t where a = null::int", "`= NULL` gives NULL", "Write a IS NULL;"),
        ("select 1 from t where a >= null", "`>= NULL` gives NULL", ""),
        ("select a = null from t", "`= NULL` gives NULL", "Write a IS NULL;"),
        ("select 1 from t where a in (1, null)", "matches nothing", "Add `OR a IS NULL`"),
        ("select 1 from t where a not in (1, null)", "never true", "Take NULL out"),
        ("select case a when null then 1 end from t", "never taken", "CASE WHEN a IS NULL"),
        ("delete from t where a = null", "`= NULL` gives NULL", "Write a IS NULL;"),
        ("update t set a = 1 where b = null", "`= NULL` gives NULL", "Write b IS NULL;"),
        ("update t set a = (b = null)", "`= NULL` gives NULL", "Write b IS NULL;"),
        ("select 1 from t join u on t.a = null", "`= NULL` gives NULL", "Write t.a IS NULL;"),
        (
            "merge into t using u on t.a = u.a when matched and t.x = null then do nothing",
            "`= NULL` gives NULL",
            "Write t.x IS NULL;",
        ),
    ],
)
def test_fires(sql: str, message: str, remedy: str) -> None:
    (match,) = matches(RULE, sql)

    assert message in match.message
    assert match.remedy.startswith(remedy) or remedy in match.remedy
    assert match.node is not None


@pytest.mark.parametrize(
    "sql",
    [
        "select 1 from t where a is null",
        "select 1 from t where a is not null",
        "select 1 from t where a is distinct from null",
        "select 1 from t where a is not distinct from null",
        "update t set a = null where b = 1",
        "update t set a = null, b = 2",
        "insert into t (a) values (1) on conflict (a) do update set b = null",
        "merge into t using u on t.a = u.a when matched then update set a = null",
        "select coalesce(a, null) = 1 from t",
        "select case when a is null then null end from t",
        "select case a when 1 then null else null end from t",
        "select nullif(a, 1) = 2 from t",
        "insert into t values (null)",
        "select 1 from t where a in (1, 2)",
        "select 1 from t where a = 'null'",
        'select 1 from t where a = "null"',
        "select f(a => null)",
        "select 1 from t where a = $1",
    ],
)
def test_passes(sql: str) -> None:
    assert [] == matches(RULE, sql)


def test_offers_no_rewrite_since_other_rows_would_come() -> None:
    assert [] == rewrites(RULE, "select 1 from t where a = null and b in (null)")


def test_every_place_is_found() -> None:
    assert 3 == len(matches(RULE, "select 1 from t where a = null or b <> null and c in (null)"))
