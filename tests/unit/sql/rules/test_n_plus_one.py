from __future__ import annotations

import pytest

from dbopt.sql.rules.n_plus_one import FEWEST, RULE
from tests.unit.sql.rules.asking import matches


def loop(pattern: str, count: int = FEWEST) -> str:
    return "\n".join(pattern.format(n) for n in range(count))


LOOK_UP = "select name from users where id = {};"


def test_in_a_transaction_whatever_is_between() -> None:
    text = "begin;\n" + loop(LOOK_UP + " update u set a = now();") + "\ncommit;"
    (match,) = matches(RULE, text)

    assert (
        "The same statement on users runs 5 times in one transaction, once for each value."
        == match.message
    )
    assert {"runs": 5, "lines": [2, 3, 4, 5, 6]} == match.evidence
    assert "" == match.remedy


def test_outside_of_one_only_in_a_row() -> None:
    (match,) = matches(RULE, loop(LOOK_UP))

    assert "one after another" in match.message
    assert [] == matches(RULE, loop(LOOK_UP + " select 1;"))


def test_the_same_constants_ask_for_a_memory() -> None:
    (match,) = matches(RULE, loop("select name from users where id = 3;"))

    assert "with the same constants each time" in match.message
    assert "Run it once and keep the result." == match.remedy


def test_the_same_parameters_say_nothing() -> None:
    (match,) = matches(RULE, loop("select name from users where id = $1;"))

    assert "" == match.remedy


@pytest.mark.parametrize(
    "text",
    [
        f"begin; {loop('update t set a = 1 where id = {};')} commit;",
        f"start transaction; {loop('delete from t where id = {};')} rollback;",
        f"begin; savepoint s; {loop(LOOK_UP)} release s; commit;",
        loop("select name from users where id = {} /* x */;"),
        f"begin; commit and chain; {loop(LOOK_UP + ' select 2;')} commit;",
    ],
)
def test_fires(text: str) -> None:
    (match,) = matches(RULE, text)

    assert FEWEST == match.evidence["runs"]


@pytest.mark.parametrize(
    "text",
    [
        loop(LOOK_UP, FEWEST - 1),
        f"begin; {loop(LOOK_UP, 3)} commit; begin; {loop(LOOK_UP, 3)} commit;",
        loop("select set_config('a', '{}', false);"),
        loop("select nextval('s');"),
        loop("select count(*) from t;"),
        loop("insert into t values ({});"),
        loop("set work_mem = {};"),
        loop("create table t{} (a int);"),
        loop("select * from t{} where id = 1;"),
        loop("explain select name from users where id = {};"),
    ],
)
def test_passes(text: str) -> None:
    assert [] == matches(RULE, text)
