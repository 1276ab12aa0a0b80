from __future__ import annotations

import pytest
from sqlglot import exp

from dbopt.sql.place import Layout
from dbopt.sql.script import script


def place(text: str, *kinds: type[exp.Expr]) -> str:
    """What the first node of these kinds is in the text."""
    subject = script(text).subjects[-1]
    assert subject.tree is not None
    start, end = Layout(subject.judged.source).span(subject.tree.find(*kinds))
    return text[start:end]


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("select a.b from a", exp.Column, "a.b"),
        ("select  count( * )  from t", exp.Count, "count( * )"),
        ("select 1; select b from t", exp.Column, "b"),
        ("select 1\nfrom t where lower( b ) = 'x'", exp.EQ, "lower( b ) = 'x'"),
        ("select * from t where a not in (select b from c where (d))", exp.In,
         "a not in (select b from c where (d))"),
        ("select * from t where ((a) + (b)) > 1", exp.Add, "(a) + (b)"),
        # Respelled for sqlglot, and so elsewhere in what it reads.
        ("select $1,$2, E'\\'\\n' , x from t", exp.Column, "x"),
        ("select $q$ a 'b' $q$, x from t", exp.Column, "x"),
        ("select U&\"n\", x from t where y like '%z'", exp.Like, "y like '%z'"),
        ("select /* a */ 1, -- b\n x from t", exp.Column, "x"),
        # A statement inside another.
        ("explain (analyze, costs off) select x from t", exp.Column, "x"),
        ("copy (select x from t) to stdout", exp.Column, "x"),
        ("prepare p (int) as select x from t where y = $1", exp.EQ, "y = $1"),
        ("create view v as select x from t", exp.Column, "x"),
        # What holds no name and no constant is the whole.
        ("select true from t", exp.Boolean, "select true from t"),
    ],
)  # fmt: skip
def test_a_node_stands_where_it_was_written(text: str, kind: type[exp.Expr], expected: str) -> None:
    assert expected == place(text, kind)


def test_no_node_is_the_whole_statement() -> None:
    subject = script(" select 1 ; select 2").subjects[0]
    assert (1, 9) == Layout(subject.judged.source).span(None)


def test_brackets_that_never_close_end_with_the_text() -> None:
    subject = script("select (1").subjects[0]
    assert (0, 9) == Layout(subject.judged.source).span(exp.Literal.number(1))
