from __future__ import annotations

import pytest

from dbopt.sql.findings import Severity
from dbopt.sql.rules.lock_order import RULE
from tests.unit.sql.rules.asking import matches


def script(*transactions: str) -> str:
    return "\n".join(f"begin;\n{body}\ncommit;" for body in transactions)


A, B = "update a set x = 1 where id = $1;", "delete from b where id = $1;"
LOCK_A, LOCK_B = "select * from a where id = $1 for update;", "select * from b for update;"
ROW_1, ROW_2 = "update a set x = 1 where id = 1;", "update a set x = 2 where id = 2;"


def test_tables_in_opposite_order() -> None:
    (match,) = matches(RULE, script(f"{A}\n{B}", f"{B}\n{A}"))

    assert (
        "Locks a after b; the transaction that locks a on line 2 does it the other way round."
        == match.message
    )
    assert {"first": [2, 3], "second": [6, 7]} == match.evidence
    assert 7 == match.subject.line


def test_rows_of_one_table_in_opposite_order() -> None:
    (match,) = matches(RULE, script(f"{ROW_1}\n{ROW_2}", f"{ROW_2}\n{ROW_1}"))

    assert "Locks two rows of a in the other order than from line 2 on." == match.message


@pytest.mark.parametrize(
    "text",
    [
        script(LOCK_A + LOCK_B, LOCK_B + LOCK_A),
        script(LOCK_A + B, B + A),
        script(A + "select 1;" + B, B + "insert into c values (1);" + A),
        script(A + B, A + B, B + A),
        script(A + A + B, B + A + B),
        script(
            "merge into a using c on a.id = c.id when matched then delete;" + B,
            B + "merge into a using c on a.id = c.id when matched then delete;",
        ),
    ],
)
def test_fires(text: str) -> None:
    assert 1 == len(matches(RULE, text))


@pytest.mark.parametrize(
    "text",
    [
        script(A + B, A + B),
        script(A + B, B),
        script(A + B + A, A + B),
        A + B + B + A,
        script(A + B) + B + A,
        script("insert into a values (1);insert into b values (1);", B + A),
        script("select * from a;select * from b;", B + A),
        script("select * from a for share;" + "select * from b for share;", LOCK_B + LOCK_A),
        script("select * from a for update nowait;" + B, B + A),
        script("select * from a for update skip locked;" + B, B + A),
        script(ROW_1 + ROW_2, ROW_1 + ROW_2),
        script(ROW_1 + ROW_2, ROW_2),
        script("with x as (delete from b returning 1) update a set x = 1;", B),
    ],
)
def test_passes(text: str) -> None:
    assert [] == matches(RULE, text)


def test_a_pair_of_tables_is_named_once() -> None:
    assert 1 == len(matches(RULE, script(A + B, B + A, A + B, B + A)))


@pytest.mark.parametrize(
    ("sql", "remedy"),
    [
        ("select * from a where id in (1, 2) for update", "Add ORDER BY id before FOR UPDATE."),
        (
            "select * from a where a.id = any ($1) for update",
            "Add ORDER BY a.id before FOR UPDATE.",
        ),
        (
            "select * from a where id in ($1, $2) for no key update",
            "Add ORDER BY id before FOR NO KEY UPDATE.",
        ),
    ],
)
def test_a_list_of_rows_without_order(sql: str, remedy: str) -> None:
    (match,) = matches(RULE, sql)

    assert remedy == match.remedy
    assert Severity.INFO is match.severity


@pytest.mark.parametrize(
    "sql",
    [
        "select * from a where id in (1, 2) order by id for update",
        "select * from a where id = 1 for update",
        "select * from a where id in (1) for update",
        "select * from a where id = $1 for update",
        "select * from a where id in (1, 2) for update skip locked",
        "select * from a where id in (1, 2) for update nowait",
        "select * from a where id in (1, 2) for share",
        "select * from a where id in (1, 2)",
        "update a set x = 1 where id in (1, 2)",
    ],
)
def test_an_order_or_one_row_is_no_hazard(sql: str) -> None:
    assert [] == matches(RULE, sql)
