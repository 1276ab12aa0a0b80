from __future__ import annotations

import pytest
from sqlglot import exp

from dbopt.sql.query import Relation
from dbopt.sql.rules.predicates import (
    compares_as_real,
    copied,
    enclosed,
    is_constant,
    is_rewritable,
    predicates,
    replaced,
)
from dbopt.sql.schema import Schema, SchemaColumn, SchemaRelation
from dbopt.sql.script import Subject, script


def subject(text: str) -> Subject:
    return script(text).subjects[0]


def tree(text: str) -> exp.Expression:
    found = subject(text).tree
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select 1 from t where a = 1 and (b > 2 or c)", ["a = 1", "b > 2", "c"]),
        ("select 1 from t join u on t.a = u.a where b", ["t.a = u.a", "b"]),
        ("update t set x = 1 from u join v on c where a", ["c", "a"]),
        ("delete from t using u where a = 1", ["a = 1"]),
        ("select 1 from t where not (a = 1) and b", ["b"]),
        ("select 1 from t where (select max(x) from u where y) > 1", ["(SELECT", "y"]),
        ("select count(*) filter (where a) from t having b", []),
        ("insert into t values (1) on conflict (a) do update set b = 1 where c", []),
    ],
)
def test_predicates_are_what_decides_on_rows(text: str, expected: list[str]) -> None:
    nodes = [p.node for p in predicates(tree(text))]
    leaves = [n for n in nodes if not isinstance(n, exp.And | exp.Or | exp.Paren)]
    found = sorted(leaf.sql(dialect="postgres") for leaf in leaves)
    assert len(expected) == len(found)
    assert all(map(str.startswith, found, sorted(expected)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select 1 from t where a = 1 and b", "x IN (1)"),
        ("select a = 1 from t", "x IN (1)"),
        ("select case when a = 1 then 2 end", "x IN (1)"),
        ("select 'v' || (a = 1)", "x IN (1)"),
        ("select f(a = 1)", "(x IN (1))"),
    ],
)
def test_what_an_operator_could_bind_is_enclosed(text: str, expected: str) -> None:
    place = tree(text).find(exp.EQ)
    assert place is not None
    new = exp.In(this=exp.column("x"), expressions=[exp.Literal.number(1)])
    assert expected == enclosed(new, place).sql(dialect="postgres")


@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [("real", "1", True), ("real", "'1'", False), ("double precision", "1", False)],
)
def test_in_makes_numbers_real(type_: str, value: str, expected: bool) -> None:
    """The server: 16777216::real in (16777217) is true, and = any (array[16777217]) is not."""
    t = Relation("public", "t")
    schema = Schema({t: SchemaRelation(t, columns={"a": SchemaColumn("a", type_)})})
    (one,) = script(f"select 1 from t where a in ({value})", schema).subjects
    node = one.tree.find(exp.In) if one.tree is not None else None
    assert node is not None
    assert expected is compares_as_real(one, node.this, node.expressions)


@pytest.mark.parametrize(
    ("value", "constant"),
    [("1", True), ("$1 + now()", True), ("a", False), ("(select 1)", False), ("f(a)", False)],
)
def test_a_constant_reads_nothing(value: str, constant: bool) -> None:
    condition = tree(f"select 1 from t where x = {value}").find(exp.EQ)
    assert condition is not None
    assert constant is is_constant(condition.expression)


def test_a_copy_has_a_twin_of_each_node() -> None:
    original = tree("select a from t where b = 1")
    twins = copied(original)
    for node in original.walk():
        assert twins[id(node)] == node
        assert twins[id(node)] is not node


def test_replacing_leaves_the_tree_and_keeps_comments() -> None:
    one = subject("select a /* why */ from t where b = $1")
    assert one.tree is not None
    before = one.tree.sql()
    condition = one.tree.find(exp.EQ)
    assert condition is not None
    changed = replaced(one, (condition.this, exp.column("c")))
    assert "SELECT a FROM t WHERE c = $1 /* why */" == changed
    assert before == one.tree.sql()


def test_what_is_volatile_or_long_is_not_rewritten() -> None:
    volatile = subject("select a from t where b = random()")
    assert volatile.tree is not None
    assert "" == replaced(volatile, (volatile.tree, exp.select("x")))
    long = subject(f"select {'a, ' * 1000} b from t")
    assert long.tree is not None
    assert not is_rewritable(long)
    assert "" == replaced(long, (long.tree, exp.select("x")))
