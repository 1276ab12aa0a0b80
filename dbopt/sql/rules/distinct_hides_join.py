"""DISTINCT that takes back the rows a join has multiplied: EXISTS makes none of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlglot import exp

from dbopt.sql.columns import folded
from dbopt.sql.findings import Severity
from dbopt.sql.rules.predicates import is_rewritable, replaced
from dbopt.sql.rules.sources import Source, is_key, is_named, source_of, sources
from dbopt.sql.rules.steady import is_steady
from dbopt.sql.rules.support import Match, Rule
from dbopt.sql.script import Subject
from dbopt.sql.shape import conjuncts

_NOT_ONLY_ROWS = ("group", "having", "windows", "qualify", "limit", "offset", "locks", "laterals")
"""Clauses of a SELECT that see the rows before DISTINCT, or choose among equal ones."""


_MOST_TABLES = 20
"""In FROM. PostgreSQL itself stops to look for the best order of joins at 12 (geqo_threshold)."""
_Part = tuple[exp.Expr, list[Source | None]]
"""A condition, and the tables that it looks at."""


@dataclass(frozen=True, slots=True)
class _Case:
    """A SELECT DISTINCT: the tables that give it columns, those that only multiply its rows."""

    select: exp.Select
    shown: tuple[Source, ...]
    hidden: tuple[Source, ...]


def _check(subject: Subject) -> Iterator[Match]:
    for select in subject.tree.find_all(exp.Select) if subject.tree is not None else ():
        case = _case(subject, select)
        if case is None or not _multiplies(case):
            continue
        names = ", ".join(source.name for source in case.hidden)
        yield Match(
            subject,
            f"DISTINCT hides the rows that the join with {names} multiplies: "
            "no column of it is in the result.",
            case.hidden[0].node,
            _rewrite(subject, case),
            evidence={"tables": [source.name for source in case.hidden]},
        )


def _case(subject: Subject, select: exp.Select) -> _Case | None:
    """The SELECT as a case of this rule; None where it is none, or that cannot be told."""
    distinct = select.args.get("distinct")
    if distinct is None or distinct.args.get("on") is not None:
        return None
    if any(select.args.get(clause) for clause in _NOT_ONLY_ROWS):
        return None
    joins = select.args.get("joins") or ()
    among = sources(select, subject.schema)
    if not joins or not all(map(_is_inner, joins)) or not all(map(_is_table, among)):
        return None
    used = _owners([*select.expressions, *_keys_of_order(select)], among)
    if not used or any(source is None for source in used):
        return None
    shown = tuple(source for source in among if source in used)
    return _Case(select, shown, tuple(source for source in among if source not in used))


def _is_inner(join: exp.Join) -> bool:
    plain = join.kind in {"", "INNER", "CROSS"} and not join.side and not join.method
    return plain and not join.args.get("using")


def _is_table(source: Source) -> bool:
    return is_named(source.node) and not source.node.args.get("joins")


def _owners(nodes: Sequence[exp.Expr], among: Sequence[Source]) -> list[Source | None]:
    """The tables of all columns in these; None stands for one that cannot be told."""
    found: list[Source | None] = []
    for node in nodes:
        if node.find(exp.AggFunc, exp.Window, exp.Query) is not None:
            return [None]
        for part in node.find_all(exp.Column, exp.Star):
            inside = isinstance(part, exp.Star) and isinstance(part.parent, exp.Column)
            if not inside:
                found.append(_owner(part, among))
    return found


def _owner(part: exp.Expr, among: Sequence[Source]) -> Source | None:
    """`t.*` is a column whose name is a star."""
    if isinstance(part, exp.Column) and isinstance(part.this, exp.Star) and part.table:
        name = folded(part.args["table"])
        return next((source for source in among if source.name == name), None)
    return source_of(part, among)


def _keys_of_order(select: exp.Select) -> list[exp.Expr]:
    """What ORDER BY looks at, but for positions and names of the result."""
    order = select.args.get("order")
    names = {item.alias for item in select.expressions if item.alias}
    keys_ = [ordered.this for ordered in order.expressions] if order is not None else []
    return [key for key in keys_ if not (isinstance(key, exp.Column) and key.name in names)]


def _multiplies(case: _Case) -> bool:
    """Whether a hidden table may have several rows for one of the shown ones."""
    pinned = _pinned(case)
    return any(not _is_one(source, pinned.get(source.name, set())) for source in case.hidden)


def _pinned(case: _Case) -> dict[str, set[str]]:
    """The columns of each table that equal something of other tables, or a constant."""
    among = (*case.shown, *case.hidden)
    found: dict[str, set[str]] = {}
    for part in _conditions(case.select):
        if not isinstance(part, exp.EQ):
            continue
        for mine, other in ((part.this, part.expression), (part.expression, part.this)):
            source, others = source_of(mine, among), _owners([other], among)
            if source is not None and source not in others and None not in others:
                found.setdefault(source.name, set()).add(folded(mine.this))
    return found


def _is_one(source: Source, pinned: set[str]) -> bool:
    """Whether a key of it is pinned; a column `id` passes for one where no schema tells."""
    if source.relation is None:
        return "id" in pinned
    return is_key(source.relation, frozenset(pinned))


def _conditions(select: exp.Select) -> list[exp.Expr]:
    """All that ON and WHERE demand, taken apart at AND."""
    where = select.args.get("where")
    wholes = [join.args.get("on") for join in select.args.get("joins") or ()]
    wholes.append(where.this if where is not None else None)
    return [part for whole in wholes if whole is not None for part in conjuncts(whole)]


# --- the rewrite


def _rewrite(subject: Subject, case: _Case) -> str:
    """The hidden tables in an EXISTS with all conditions that look at them.

    Inner joins may be taken in any order, so the result is the set of the shown tables' rows for
    which rows of the hidden ones exist. DISTINCT goes where that set cannot hold two alike.
    """
    among = (*case.shown, *case.hidden)
    if len(among) > _MOST_TABLES or not is_rewritable(subject):
        return ""
    parts: list[_Part] = [(p, _owners([p], among)) for p in _conditions(case.select)]
    if any(None in owners for _, owners in parts) or not is_steady(subject):
        return ""
    inner = [part for part in parts if _touches(part, case.hidden)]
    outer = [part for part in parts if not _touches(part, case.hidden)]
    exists = exp.Exists(this=_select(case.hidden, inner).select("1"))
    changed = case.select.copy()
    for clause in ("from_", "joins", "where"):
        changed.set(clause, None)
    bare = _select(case.shown, [*outer, (exists, [])])
    for clause in ("from_", "joins", "where"):
        changed.set(clause, bare.args.get(clause))
    if _is_unique(case):
        changed.set("distinct", None)
    return replaced(subject, (case.select, changed))


def _touches(part: _Part, tables: Sequence[Source]) -> bool:
    return any(owner in tables for owner in part[1])


def _select(tables: Sequence[Source], parts: Sequence[_Part]) -> exp.Select:
    """FROM these WHERE all of this holds; what joins a table to those before it is its ON."""
    select = exp.Select().from_(tables[0].node.copy())
    seen, rest = [tables[0]], list(parts)
    for source in tables[1:]:
        seen.append(source)
        on = [p for p in rest if source in p[1] and all(owner in seen for owner in p[1])]
        rest = [p for p in rest if all(p is not one for one in on)]
        join = exp.Join(this=source.node.copy(), kind=None if on else "CROSS")
        if on:
            join.set("on", exp.and_(*(part for part, _ in on)))
        select.append("joins", join)
    return select.where(*(part.copy() for part, _ in rest), copy=False)


def _is_unique(case: _Case) -> bool:
    """Whether the result names a key of its only table: then no two rows are alike.

    But for functions, which may give a set of equal values for each row.
    """
    if any(item.find(exp.Func, exp.Dot) is not None for item in case.select.expressions):
        return False
    names = frozenset(
        folded(item.unalias().this)
        for item in case.select.expressions
        if isinstance(item.unalias(), exp.Column)
        and isinstance(item.unalias().this, exp.Identifier)
    )
    return len(case.shown) == 1 and is_key(case.shown[0].relation, names)


RULE = Rule(
    name="distinct-hides-join",
    severity=Severity.WARNING,
    summary="DISTINCT over a join whose table gives no column.",
    reason=(
        "The join makes a row for each match, then DISTINCT sorts or hashes them all to leave one "
        "of each. A semi-join by EXISTS stops at the first match, and makes no duplicates that "
        "must be removed."
    ),
    remedy="Ask for the table by EXISTS (SELECT 1 FROM it WHERE ...) in place of the join.",
    fires="SELECT DISTINCT u.id, u.name FROM users u JOIN orders o ON o.user_id = u.id",
    passes="SELECT DISTINCT u.id, o.state FROM users u JOIN orders o ON o.user_id = u.id",
    check=_check,
)
