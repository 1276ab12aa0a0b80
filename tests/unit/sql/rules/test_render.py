from __future__ import annotations

import pytest
from sqlglot import exp

from dbopt.sql.rules.render import rewritten
from dbopt.sql.script import script


def unchanged(sql: str) -> str:
    (subject,) = script(sql).subjects
    assert subject.tree is not None
    return rewritten(subject, subject.tree)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select a from t where b = $1", "SELECT a FROM t WHERE b = $1"),
        ("select now() from t", "SELECT now() FROM t"),
        ("select current_timestamp from t", "SELECT CURRENT_TIMESTAMP FROM t"),
        ("select a::int from t x", "SELECT CAST(a AS INT) FROM t AS x"),
        ('select "Odd" from "T" where a != 1', 'SELECT "Odd" FROM "T" WHERE a <> 1'),
        ("select own(a) from t", "SELECT own(a) FROM t"),
        ("select a /* why */ from t", "SELECT a FROM t /* why */"),
        ("select a -- why\nfrom t", "SELECT a FROM t /* why */"),
        ("select a -- odd */ /* one\nfrom t", "SELECT a FROM t /* odd * / / * one */"),
        ("select /*+ SeqScan(t) */ a /* b */ from t", "/*+ SeqScan(t) */ SELECT a FROM t /* b */"),
    ],
)
def test_what_was_written_comes_back(sql: str, expected: str) -> None:
    assert expected == unchanged(sql)


@pytest.mark.parametrize(
    ("sql", "kept"),
    [
        ("select a from t where b = $1 and c = $1", True),
        ("select a from t where b = $1 and c = $2", False),
        ("select a from t where b = ? and c", True),
        ("select a from t where b and c = ?", False),
        ("select a from t where b = ? and c = ? and d", False),
        ("select a from t where b = %(x)s and c = %(x)s", True),
    ],
)
def test_the_clients_values_still_fit(sql: str, kept: bool) -> None:
    """The first condition is left alone."""
    (subject,) = script(sql).subjects
    assert subject.tree is not None
    changed = subject.tree.copy()
    both = changed.find(exp.And)
    assert both is not None
    both.replace(both.this if not isinstance(both.this, exp.And) else both.this.copy())

    assert kept is bool(rewritten(subject, changed))


def test_what_would_be_read_as_another_tree_is_not_offered() -> None:
    (subject,) = script("select 'v' || (a = 1) from t").subjects
    assert subject.tree is not None
    changed = subject.tree.copy()
    bracket = changed.find(exp.Paren)
    assert bracket is not None
    listed = exp.In(this=exp.column("a"), expressions=[exp.Literal.number(1)])
    bracket.replace(exp.Paren(this=listed.copy()))
    assert "SELECT 'v' || (a IN (1)) FROM t" == rewritten(subject, changed)
    again = changed.find(exp.Paren)
    assert again is not None
    again.replace(listed)
    assert "" == rewritten(subject, changed)


@pytest.mark.parametrize(
    "sql",
    [
        # sqlglot prints these as something else, or without a part of them.
        "select current_timestamp(0) from t",
        "select char_length(a) from t",
        "explain select a from t",
        "select strpos(a, 'x') from t",
    ],
)
def test_what_would_be_lost_is_not_offered(sql: str) -> None:
    assert "" == unchanged(sql)
