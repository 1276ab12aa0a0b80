from __future__ import annotations

import pytest

from dbopt.sql.parse import parse, split
from dbopt.sql.unqualified import is_unqualified, is_unqualified_text
from tests.unit.sql.test_classify import CASES


def by_tree(text: str) -> bool | None:
    [statement] = split(text)
    tree = parse(statement)
    return None if tree is None else is_unqualified(list(tree.walk()))


def by_tokens(text: str) -> bool:
    [statement] = split(text)
    return is_unqualified_text(statement.tokens)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("update t set a = 1", True),
        ("update t set a = 1 where true", True),
        ("update t set a = 1 where 1 = 1", True),
        ("update t set a = 1 where $1", True),
        ("update t set a = 1 where not false or null is null", True),
        ("update t set a = 1 where now() > '2020-01-01'", True),
        ("update t set a = 1 where 'x'::text = 'x'", True),
        ("update t set a = 1 where (select true)", True),
        ("update t set a = 1 where b", False),
        ("update t set a = 1 where \"b\" = 1", False),
        ("update t set a = 1 where t.b is null", False),
        ("update t set a = (select b from u where c = 1)", True),
        ("update t set a = 1 where exists (select 1 from u where u.b = t.b)", False),
        ("delete from t", True),
        ("delete from t using u", True),
        ("delete from t where id = 1 returning *", False),
        ("delete from t returning a", True),
        ("with x as (delete from t) select a from b where c = 1", True),
        ("with x as (delete from t where a = 1) select 1", False),
        ("with x as (select 1) update t set a = 1 from x", True),
        ("insert into t (a) values (1) on conflict (a) do update set b = 1", False),
        ("select a from t for update", False),
        ("select a from t for no key update of t", False),
        ("merge into t using u on t.a = u.a when matched then update set b = 1", False),
        ("merge into t using u on t.a = u.a when matched then delete", False),
        ("select 'update t', delete_from from t", False),
        ("truncate t", False),
    ],
)  # fmt: skip
def test_whether_it_says_which_rows(text: str, expected: bool) -> None:
    if not text.startswith("truncate"):
        assert expected == by_tree(text)
    assert expected == by_tokens(text)


@pytest.mark.parametrize("verb", ["update t set a = 1", "delete from t"])
def test_the_row_of_a_cursor_is_said(verb: str) -> None:
    assert by_tree(f"{verb} where current of c") is None
    assert not by_tokens(f"{verb} where current of c")


def test_tokens_find_all_that_trees_do() -> None:
    single = [case.sql for case in CASES if len(split(case.sql)) == 1]
    missed = [text for text in single if by_tree(text) and not by_tokens(text)]
    assert [] == missed
