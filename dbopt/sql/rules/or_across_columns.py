"""OR between different columns: no one index finds both sides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlglot import exp

from dbopt.sql.columns import folded
from dbopt.sql.findings import Severity
from dbopt.sql.rules.predicates import Scopes, copied, is_rewritable, replaced
from dbopt.sql.rules.sources import Source, column_of, is_key, source_of, sources
from dbopt.sql.rules.steady import is_steady
from dbopt.sql.rules.support import Match, Rule
from dbopt.sql.script import Subject
from dbopt.sql.shape import conjuncts

_TESTS = (exp.EQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between, exp.In)
_CONSTANTS = (exp.Literal, exp.Parameter, exp.Placeholder, exp.CurrentTimestamp, exp.Neg)
_MOST_SIDES = 5
"""Of a UNION that is proposed: each one runs the rest of the query again."""
_NO_UNION = frozenset({"json", "xml", "point", "box", "path", "polygon", "line", "circle"})
"""Types that UNION cannot compare."""
_BARRIERS = (
    "group",
    "having",
    "distinct",
    "windows",
    "limit",
    "offset",
    "locks",
    "with_",
    "laterals",
)


@dataclass(frozen=True, slots=True)
class _Side:
    """One side of an OR: its condition, and the columns that it looks at."""

    condition: exp.Expr
    columns: tuple[exp.Column, ...]


def _check(subject: Subject) -> Iterator[Match]:
    scopes = Scopes(subject.schema)
    for node in subject.tree.find_all(exp.Or) if subject.tree is not None else ():
        select = _select_of(node)
        sides = _sides(node) if select is not None else []
        if select is None or not sides:
            continue
        among = scopes.of(select)
        owners = [source_of(column, among) for side in sides for column in side.columns]
        tables = {owner.name for owner in owners if owner is not None}
        if None in owners:
            continue
        if len(tables) > 1:
            yield _match(subject, select, node, sides, _Found(tables=sorted(tables)))
        elif missing := _without_index(sides, among):
            yield _match(subject, select, node, sides, missing)


@dataclass(frozen=True, slots=True)
class _Found:
    """What is wrong: several tables, or columns without an index; `known` if the schema said so."""

    tables: Sequence[str] = ()
    columns: Sequence[str] = ()
    known: bool = False


def _select_of(node: exp.Or) -> exp.Select | None:
    """The SELECT whose WHERE has this OR as one of its conditions."""
    parent = node.parent
    while isinstance(parent, exp.Paren | exp.And):
        parent = parent.parent
    select = parent.parent if isinstance(parent, exp.Where) else None
    return select if isinstance(select, exp.Select) else None


def _sides(node: exp.Or) -> list[_Side]:
    """The sides, if each looks at other columns and could be found by an index; else none.

    So no keyset comparison, `a > 1 OR (a = 1 AND b > 2)`, and no `$1 IS NULL OR a = $1`.
    """
    sides = [_side(part) for part in node.flatten()]
    names: set[tuple[str, str]] = set()
    for side in sides:
        own = {(column.table.lower(), column.name.lower()) for column in side.columns}
        if not own or own & names:
            return []
        names |= own
    return sides


def _side(part: exp.Expr) -> _Side:
    """The columns compared with constants; none where one condition of the side is of no use."""
    tests = [test for test in conjuncts(part) if _is_test(test)]
    return _Side(part, tuple(test.this for test in tests))


def _is_test(test: exp.Expr) -> bool:
    if not isinstance(test, _TESTS) or not isinstance(test.this, exp.Column):
        return False
    if isinstance(test, exp.In):
        return bool(test.expressions)
    if isinstance(test, exp.Between):
        return all(isinstance(test.args[end], _CONSTANTS) for end in ("low", "high"))
    return isinstance(test.expression, _CONSTANTS)


def _without_index(sides: Sequence[_Side], among: Sequence[Source]) -> _Found | None:
    """The sides of one table that no index leads to. If all have one, a BitmapOr joins them."""
    relation = among[0].relation if len(among) == 1 else None
    if len(among) == 1 and relation is None:
        return _Found()
    if relation is None:
        return None
    leading = {index.keys[0].expression for index in relation.indexes if index.keys}
    names = [[folded(column.this) for column in side.columns] for side in sides]
    bare = [own[0] for own in names if not leading.intersection(own)]
    return _Found(columns=bare, known=True) if 0 < len(bare) < len(sides) else None


def _match(
    subject: Subject, select: exp.Select, node: exp.Or, sides: Sequence[_Side], found: _Found
) -> Match:
    evidence = {"tables": list(found.tables), "without_index": list(found.columns)}
    rewrite = "" if found.known else _rewrite(subject, select, node)
    if found.tables:
        message = (
            f"OR between columns of {' and '.join(found.tables)}: neither can be narrowed "
            "before they are joined."
        )
        return Match(subject, message, node, rewrite, evidence=evidence)
    columns = ", ".join(sorted({column.name for side in sides for column in side.columns}))
    if found.known:
        message = f"OR between {columns}: without an index on {', '.join(found.columns)} the whole"
        message += " table is read, whatever index the other side has."
        remedy = f"Create an index on {', '.join(found.columns)}: a BitmapOr then joins the sides."
        return Match(subject, message, node, remedy=remedy, evidence=evidence)
    message = f"OR between {columns}: each side needs an index of its own, or the table is read."
    remedy = f"See that each of {columns} has an index: a BitmapOr then joins the sides."
    return Match(subject, message, node, rewrite, remedy, Severity.INFO, evidence)


# --- the rewrite


def _rewrite(subject: Subject, select: exp.Select, node: exp.Or) -> str:
    """A UNION of one SELECT for each side; only where no two rows of the result are alike.

    Then what UNION removes is a row that more than one side has found.
    """
    among = sources(select, subject.schema)
    parts = list(node.flatten())
    short = len(parts) <= _MOST_SIDES and is_rewritable(subject)
    if subject.tree is not select or not short or not is_steady(subject):
        return ""
    if any(select.args.get(clause) for clause in _BARRIERS) or not _is_unique(select, among):
        return ""
    names = [item.alias_or_name for item in select.expressions]
    order = select.args.get("order")
    if order is not None and not _by_result(order, names):
        return ""
    branches = [_branch(select, node, part) for part in parts]
    union: exp.Expression = branches[0]
    for branch in branches[1:]:
        union = exp.Union(this=union, expression=branch, distinct=True)
    if order is not None:
        union.set("order", order.copy())
    return replaced(subject, (select, union))


def _is_unique(select: exp.Select, among: Sequence[Source]) -> bool:
    """Whether the result is columns that UNION can compare, with a key of each table."""
    items = [item.unalias() for item in select.expressions]
    known = [column_of(item, among) for item in items]
    if any(column is None or _has_no_equality(column.type) for column in known):
        return False
    shown: dict[str, set[str]] = {source.name: set() for source in among}
    for item in items:
        owner = source_of(item, among)
        if owner is not None:
            shown[owner.name].add(folded(item.this))
    return len(shown) == len(among) and all(
        is_key(source.relation, frozenset(shown[source.name])) for source in among
    )


def _has_no_equality(type_: str) -> bool:
    return type_.removesuffix("[]") in _NO_UNION


def _by_result(order: exp.Order, names: Sequence[str]) -> bool:
    """Whether ORDER BY names columns of the result, once each: all that a UNION can sort by."""
    keys = [ordered.this for ordered in order.expressions]
    return all(
        isinstance(key, exp.Column) and not key.table and names.count(key.name) == 1 for key in keys
    )


def _branch(select: exp.Select, node: exp.Or, part: exp.Expr) -> exp.Select:
    twins = copied(select)
    branch, twin = twins[id(select)], twins[id(node)]
    assert isinstance(branch, exp.Select)  # noqa: S101 - a copy of one
    branch.set("order", None)
    whole = twin.parent if isinstance(twin.parent, exp.Paren) else twin
    # sqlglot prints no brackets of its own accord: a OR b would fall apart beside an AND.
    whole.replace(exp.paren(part) if isinstance(part, exp.Connector) else part.copy())
    return branch


RULE = Rule(
    name="or-across-columns",
    severity=Severity.WARNING,
    summary="OR between different columns in WHERE.",
    reason=(
        "An index narrows one side only. Within one table PostgreSQL can join the bitmaps of two "
        "indexes, if each side has one; between two tables there is no such plan: they are joined "
        "whole, and the OR is looked at for every row of the join."
    ),
    remedy=(
        "Write one SELECT for each side and join them by UNION, with a key in the select list so "
        "that only rows found twice are removed."
    ),
    fires=(
        "SELECT o.id, u.id AS user_id FROM orders o JOIN users u ON u.id = o.user_id "
        "WHERE o.status = 'new' OR u.email = 'a@example.com'"
    ),
    passes=(
        "SELECT o.id, u.id AS user_id FROM orders o JOIN users u ON u.id = o.user_id "
        "WHERE o.status = 'new' AND u.email = 'a@example.com'"
    ),
    check=_check,
)
