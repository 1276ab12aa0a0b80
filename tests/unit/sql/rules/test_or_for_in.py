from __future__ import annotations

import pytest

from dbopt.sql.rules.or_for_in import RULE
from tests.unit.sql.rules.asking import matches, rewrites


@pytest.mark.parametrize(
    ("sql", "rewrite"),
    [
        ("select 1 from t where a = 1 or a = 2", "SELECT 1 FROM t WHERE a IN (1, 2)"),
        ("select 1 from t where t.a = 'x' or t.a = 'y'", "SELECT 1 FROM t WHERE t.a IN ('x', 'y')"),
        ("select 1 from t where a = $1 or a = $2", "SELECT 1 FROM t WHERE a IN ($1, $2)"),
        (
            "select 1 from t where (a = 1 or a = 2 or (a = 3)) and b = 4",
            "SELECT 1 FROM t WHERE a IN (1, 2, 3) AND b = 4",
        ),
        (
            "select 1 from t where b = 'v' || (a = 1 or a = 2)",
            "SELECT 1 FROM t WHERE b = 'v' || (a IN (1, 2))",
        ),
        ("select 1 from t where (a = 1 or a = 2) = b", "SELECT 1 FROM t WHERE (a IN (1, 2)) = b"),
        ("delete from t where not (a = 1 or a = 2)", "DELETE FROM t WHERE NOT a IN (1, 2)"),
        (
            "select now() from t where a = 1 /* both */ or a = 2",
            "SELECT NOW() FROM t WHERE a IN (1, 2) /* both */",
        ),
    ],
)
def test_fires(sql: str, rewrite: str) -> None:
    (found,) = rewrites(RULE, sql)

    assert rewrite.replace("NOW()", "now()") == found.replace("NOW()", "now()")


@pytest.mark.parametrize(
    "sql",
    [
        "select 1 from t where a = 1 or b = 2",
        "select sum(case when a = 1 or a = 2 then 1 else 0 end) from t where b = 1",
        "select a = 1 or a = 2 from t order by b = 1 or b = 2",
        "select 1 from t where a = 1 or a > 2",
        "select 1 from t where a = 1 or a is null",
        "select 1 from t where a = 1 or a = 'x'",
        "select 1 from t where a = 1 or a = 2.5",
        "select 1 from t where a = 1 or a = b",
        "select 1 from t where a = $1 or a = 2",
        "select 1 from t where a = 1 and a = 2",
        "select 1 from t where lower(a) = 'x' or lower(a) = 'y'",
        "select 1 from t join u on t.a = 1 or u.a = 2",
        "select 1 from t where a in (1, 2)",
    ],
)
def test_passes(sql: str) -> None:
    assert [] == matches(RULE, sql)


def test_what_is_not_printed_as_written_is_not_rewritten() -> None:
    """sqlglot loses the precision of CURRENT_TIMESTAMP(0)."""
    (match,) = matches(RULE, "select current_timestamp(0) from t where a = 1 or a = 2")

    assert "" == match.rewrite
