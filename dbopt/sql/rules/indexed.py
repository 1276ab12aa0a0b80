"""Which indexes there are for a column or an expression, and the one that is missing."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp
from sqlglot.errors import SqlglotError

from dbopt.sql.columns import folded
from dbopt.sql.expression import comparison_key
from dbopt.sql.indexdef import IndexDefinition, IndexKey
from dbopt.sql.rules.predicates import SMALL_TABLE, Scopes, as_column, bare, is_constant
from dbopt.sql.rules.render import printed
from dbopt.sql.rules.sources import source_of
from dbopt.sql.schema import SchemaRelation
from dbopt.sql.script import Subject

COMPARISONS = (exp.EQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between, exp.In)
"""What a btree serves, if the column stands alone on one side."""
FLIPPED: dict[type[exp.Expr], type[exp.Expr]] = {
    exp.EQ: exp.EQ,
    exp.GT: exp.LT,
    exp.GTE: exp.LTE,
    exp.LT: exp.GT,
    exp.LTE: exp.GTE,
}
"""The same comparison with its sides exchanged."""


def compared(node: exp.Expr) -> Iterator[tuple[exp.Expr, exp.Expr | None, type[exp.Expr]]]:
    """What a comparison compares with constants alone: the expression, bare, the constant, and
    the operator as if the expression stood on the left. Of BETWEEN and IN there is no constant."""
    if isinstance(node, exp.Between):
        if is_constant(node.args.get("low")) and is_constant(node.args.get("high")):
            yield bare(node.this) or node, None, type(node)
    elif isinstance(node, exp.In):
        if node.expressions and all(map(is_constant, node.expressions)):
            yield bare(node.this) or node, None, type(node)
    elif type(node) in FLIPPED:
        left, right = bare(node.this), bare(node.args.get("expression"))
        if left is not None and is_constant(right):
            yield left, right, type(node)
        elif right is not None and is_constant(left):
            yield right, left, FLIPPED[type(node)]


def only_column(node: exp.Expr) -> exp.Column | None:
    """The column in an expression, if it holds no other and no subquery."""
    columns = list(node.find_all(exp.Column))
    if len(columns) != 1 or node.find(exp.Query, exp.AggFunc, exp.Window) is not None:
        return None
    return as_column(columns[0])


def defeats_index(relation: SchemaRelation, column: str, forms: list[str]) -> bool:
    """Whether a column is the first key of an index that an expression of it makes no use of.

    `forms` are the expression's texts. A table that is read whole at once has no need of one.
    """
    if 0 < relation.rows < SMALL_TABLE:
        return False
    firsts = [index.keys[0] for index in relation.indexes if index.method in {"btree", "hash"}]
    wanted = {comparison_key(form) for form in forms}
    if any(not key.is_column and comparison_key(key.expression) in wanted for key in firsts):
        return False
    return any(key.is_column and key.expression == column for key in firsts)


def unqualified(subject: Subject, node: exp.Expr) -> str:
    """An expression as the definition of an index has it: its columns without their table."""
    node = node.copy()
    for column in node.find_all(exp.Column):
        column.set("table", None)
        column.set("db", None)
    return printed(subject, node)


def missing_index(
    subject: Subject,
    scopes: Scopes,
    statement: exp.Expr,
    expression: exp.Expr,
    method: str = "btree",
    opclass: str = "",
) -> str:
    """CREATE INDEX for an expression of one column; "" where its table cannot be told."""
    column = expression.find(exp.Column)
    source = source_of(column, scopes.of(statement))
    node = source.node if source is not None else None
    if column is None or not isinstance(node, exp.Table) or _may_be_cte(subject, node):
        return ""
    named = as_column(expression)
    text = folded(named.this) if named is not None else unqualified(subject, expression)
    key = IndexKey(text, is_column=named is not None, opclass=opclass)
    schema = node.args.get("db")
    return IndexDefinition(
        "", folded(schema) if schema is not None else "", folded(node.this), method, (key,)
    ).create_sql()


def type_name(text: str) -> str:
    """sqlglot's word for a type as the catalog writes it; "" for what it does not know."""
    try:
        found = exp.DataType.build(text, dialect="postgres").this
    except (SqlglotError, ValueError):
        return ""
    return str(getattr(found, "name", ""))


def _may_be_cte(subject: Subject, table: exp.Table) -> bool:
    if not isinstance(table.this, exp.Identifier):
        return True
    known = subject.tree is not None and subject.tree.find(exp.CTE) is None
    return not known and table.args.get("db") is None
