"""The conditions that decide which rows a statement reads, and changes to a copy of its tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlglot import exp

from dbopt.sql.columns import folded
from dbopt.sql.rules.render import rewritten
from dbopt.sql.rules.sources import Source, source_of, sources, statement_of
from dbopt.sql.rules.steady import is_steady
from dbopt.sql.schema import Schema, SchemaColumn, SchemaRelation
from dbopt.sql.script import Subject

STATEMENTS = (exp.Select, exp.Update, exp.Delete)
_HOLDERS = (
    *(
        exp.Where,
        exp.Not,
        exp.And,
        exp.Or,
        exp.Paren,
        exp.Join,
        exp.Having,
        exp.If,
        exp.Alias,
        exp.Select,
    ),
)
"""What holds a condition that is NOT or a comparison without parentheses."""
SMALL_TABLE = 1000.0
"""Rows that a server reads so fast that no index is needed."""
_LARGEST_REWRITTEN = 2000
"""Tokens. A longer statement was written by a program, and is not read by a person."""
_MOST_REWRITTEN = 20_000
"""Tokens of all rewrites of one statement. Nobody reads a tenth one of a long statement."""


class Predicate(NamedTuple):
    """A condition, and the statement whose WHERE or ON it is in."""

    node: exp.Expr
    statement: exp.Expr


def predicates(tree: exp.Expr) -> Iterator[Predicate]:
    """All parts of all WHERE and ON conditions, from the top down.

    What NOT stands before is left out, and so is what is inside a subquery, but for its own.
    """
    for holder in tree.find_all(exp.Where, exp.Join):
        root = holder.args.get("on") if isinstance(holder, exp.Join) else holder.this
        owner = holder.parent if isinstance(holder, exp.Where) else statement_of(holder)
        if isinstance(root, exp.Expr) and isinstance(owner, STATEMENTS):
            yield from (Predicate(node, owner) for node in _parts(root))


def bare(node: exp.Expr | None) -> exp.Expr | None:
    """A node without the parentheses around it."""
    while isinstance(node, exp.Paren):
        node = node.this
    return node


def is_column(node: exp.Expr | None) -> bool:
    """Whether a node is a name of a column, parentheses aside, and not `t.*`."""
    return as_column(node) is not None


def as_column(node: exp.Expr | None) -> exp.Column | None:
    """The column that a node is, parentheses aside."""
    node = bare(node)
    return node if isinstance(node, exp.Column) and isinstance(node.this, exp.Identifier) else None


def is_constant(node: exp.Expr | None) -> bool:
    """Whether a node has one value in a whole run of its query: it reads no column."""
    return node is not None and node.find(exp.Column, exp.Query, exp.Star) is None


def column_name(node: exp.Expr) -> str:
    """The name of a column as written in the statement, for a message."""
    found = node.find(exp.Column)
    if found is None:
        return ""
    table = found.args.get("table")
    name = folded(found.this)
    return f"{folded(table)}.{name}" if table is not None else name


def is_conjunct(node: exp.Expr) -> bool:
    """Whether AND, WHERE or ON holds a node: what is there needs no parentheses to be an AND."""
    return isinstance(node.parent, exp.And | exp.Where | exp.Join | exp.Paren)


def enclosed(new: exp.Expr, place: exp.Expr) -> exp.Expr:
    """A condition to stand in place of a node: in parentheses where an operator could bind it."""
    return new if isinstance(place.parent, _HOLDERS) else exp.Paren(this=new)


def compares_as_real(subject: Subject, column: exp.Column, values: Sequence[exp.Expr]) -> bool:
    """Whether IN compares a column of type real with numbers: it makes them real, so that
    16777217 is 16777216; = and = ANY compare as double precision."""
    owner = statement_of(column)
    known = Scopes(subject.schema).column(column, owner) if owner is not None else None
    numbers = any(isinstance(value, exp.Literal) and not value.is_string for value in values)
    return numbers and known is not None and known.type == "real"


class Scopes:
    """The sources of each statement in a tree, each worked out once."""

    def __init__(self, schema: Schema | None) -> None:
        self.schema = schema
        self._known: dict[int, list[Source]] = {}

    def of(self, statement: exp.Expr) -> list[Source]:
        """What a SELECT, UPDATE or DELETE reads."""
        found = self._known.get(id(statement))
        if found is None:
            found = self._known[id(statement)] = sources(statement, self.schema)
        return found

    def relation(self, column: exp.Expr | None, statement: exp.Expr) -> SchemaRelation | None:
        """The table of a statement's column, if the schema knows it."""
        source = source_of(bare(column), self.of(statement))
        return source.relation if source is not None else None

    def column(self, column: exp.Expr | None, statement: exp.Expr) -> SchemaColumn | None:
        """What the schema knows of a statement's column, if anything."""
        relation, named = self.relation(column, statement), as_column(column)
        if relation is None or named is None:
            return None
        return relation.columns.get(folded(named.this))


def replaced(subject: Subject, *changes: tuple[exp.Expr, exp.Expr]) -> str:
    """The statement's SQL with some nodes of its tree replaced by others.

    "" where that may lose something, for a statement that is longer than anybody would read, and
    for one with a volatile function, which might be called more or less often. No node may be
    inside another.
    """
    tree = subject.tree
    if tree is None or not is_rewritable(subject) or not is_steady(subject):
        return ""
    twins = copied(tree)
    root = twins[id(tree)]
    for node, new in changes:
        if node is tree:
            root = new
        else:
            twins[id(node)].replace(new)
    return rewritten(subject, root)


def is_rewritable(subject: Subject) -> bool:
    """Whether a statement is short enough to be rewritten, and was not too often already; to be
    asked before much is done."""
    length = len(subject.judged.statement.tokens)
    return length <= _LARGEST_REWRITTEN and subject.rewriting.tokens + length <= _MOST_REWRITTEN


def copied(tree: exp.Expr) -> dict[int, exp.Expr]:
    """A copy of a tree: each of its nodes by the id of the node that it is a copy of."""
    twin = tree.copy()
    pairs = zip(tree.walk(bfs=False), twin.walk(bfs=False), strict=True)
    return {id(node): copy for node, copy in pairs}


def _parts(root: exp.Expr) -> Iterator[exp.Expr]:
    todo = [root]
    while todo:
        node = todo.pop()
        if isinstance(node, exp.Not | exp.Query):
            continue
        yield node
        if isinstance(node, exp.And | exp.Or | exp.Paren):
            todo += [part for part in (node.args.get("expression"), node.this) if part is not None]
