"""Locks taken in different orders: two transactions that wait for each other are a deadlock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise

from sqlglot import exp

from dbopt.sql.findings import Severity
from dbopt.sql.query import Kind, Relation
from dbopt.sql.rules.render import printed
from dbopt.sql.rules.support import Match, Rule
from dbopt.sql.rules.transactions import Stretch, stretches
from dbopt.sql.script import Script, Subject

_MOST_TRANSACTIONS = 100
"""Of one script; each is compared with each other."""
_CHANGING = frozenset({Kind.UPDATE, Kind.DELETE, Kind.MERGE})


@dataclass(frozen=True, slots=True)
class _Locked:
    """A table, or its one row that a statement finds by this condition."""

    table: str
    row: str = ""


_Order = dict[_Locked, Subject]
"""What a transaction locks, in order, and the statement that does so first."""


def _check(subject: Subject) -> Iterator[Match]:
    """Several rows locked in whatever order a scan finds them."""
    tree = subject.tree
    if not isinstance(tree, exp.Select) or not _waits(tree) or tree.args.get("order") is not None:
        return
    listed = _listed(tree)
    if listed is not None and not tree.args.get("joins"):
        strength = printed(subject, tree.args["locks"][0])
        yield Match(
            subject,
            f"{strength} of a list of rows without ORDER BY: two runs may lock them in two orders.",
            listed,
            remedy=f"Add ORDER BY {printed(subject, listed)} before {strength}.",
            severity=Severity.INFO,
        )


def _waits(select: exp.Select) -> bool:
    """Whether it locks rows so that its like waits: with NOWAIT and SKIP LOCKED nobody does."""
    locks = select.args.get("locks") or ()
    return bool(locks) and all(
        lock.args.get("update") and lock.args.get("wait") is None for lock in locks
    )


def _listed(select: exp.Select) -> exp.Column | None:
    """The column that WHERE compares with a list, if it is all that WHERE says."""
    where = select.args.get("where")
    part = where.this.unnest() if isinstance(where, exp.Where) else None
    if not isinstance(part, exp.In | exp.EQ) or not isinstance(part.this, exp.Column):
        return None
    several = isinstance(part.args.get("expression"), exp.Any) or len(part.expressions) > 1
    return part.this if several else None


def _check_script(script: Script) -> Iterator[Match]:
    """Each two things that some two transactions lock in opposite orders, named once."""
    orders = [_order(stretch) for stretch in stretches(script) if stretch.explicit]
    told: set[frozenset[str]] = set()
    for one, other in combinations(orders[:_MOST_TRANSACTIONS], 2):
        for first, second in _crossings(one, other):
            tables = frozenset({first.table, second.table})
            if tables not in told:
                told.add(tables)
                yield _match(first, second, one, other)


def _crossings(one: _Order, other: _Order) -> Iterator[tuple[_Locked, _Locked]]:
    """What `one` locks first and second, and `other` second and first: tables, then their rows."""
    place = {what: at for at, what in enumerate(other)}
    shared = [what for what in one if what in place]
    groups = [[what for what in shared if not what.row]]
    for table in groups[0]:
        groups.append([what for what in shared if what.row and what.table == table.table])
    for group in groups:
        for first, second in pairwise(group):
            if place[first] > place[second] and one[first] is not one[second]:
                yield first, second


def _match(first: _Locked, second: _Locked, one: _Order, other: _Order) -> Match:
    crossing = other[first]
    line = one[first].line
    if first.row:
        message = f"Locks two rows of {first.table} in the other order than from line {line} on."
    else:
        message = (
            f"Locks {first.table} after {second.table}; the transaction that locks "
            f"{first.table} on line {line} does it the other way round."
        )
    evidence = {
        "first": [one[first].line, one[second].line],
        "second": [other[second].line, other[first].line],
    }
    return Match(crossing, message, crossing.tree, evidence=evidence)


def _order(stretch: Stretch) -> _Order:
    order: _Order = {}
    for subject in stretch.subjects:
        for what in _locked(subject):
            order.setdefault(what, subject)
    return order


def _locked(subject: Subject) -> Iterator[_Locked]:
    """What a statement locks that another may wait for: tables, or a table's one row.

    An INSERT's row is nobody else's yet, so it is none.
    """
    does, tree = subject.judged.does, subject.tree
    if does.kind in _CHANGING and isinstance(tree, exp.Update | exp.Delete | exp.Merge):
        yield from _named(does.writes, tree)
    elif isinstance(tree, exp.Select) and _waits(tree):
        yield from _named(does.reads, tree)


def _named(relations: tuple[Relation, ...], tree: exp.Expr) -> Iterator[_Locked]:
    for relation in relations:
        yield _Locked(str(relation))
    row = _row(tree)
    if row and len(relations) == 1:
        yield _Locked(str(relations[0]), row)


def _row(tree: exp.Expr) -> str:
    """The condition `column = constant` that a row is found by, "" for any other."""
    where = tree.args.get("where")
    part = where.this.unnest() if isinstance(where, exp.Where) else None
    if not isinstance(part, exp.EQ) or not isinstance(part.this, exp.Column):
        return ""
    constant = isinstance(part.expression, exp.Literal)
    return f"{part.this.name.lower()} = {part.expression.sql()}" if constant else ""


RULE = Rule(
    name="lock-order",
    severity=Severity.WARNING,
    summary="Transactions that lock the same things in different orders.",
    reason=(
        "If each of two transactions holds what the other wants next, neither can go on. "
        "PostgreSQL finds it out after deadlock_timeout (1 s) and aborts one of them with "
        "deadlock_detected, 40P01 (PostgreSQL documentation, 13.3.4 Deadlocks)."
    ),
    remedy=(
        "Write to tables, and to rows of one table, in one order everywhere, such as by name and "
        "by key; lock what is needed first by SELECT ... ORDER BY key FOR UPDATE."
    ),
    fires=(
        "BEGIN;\nUPDATE accounts SET total = 1 WHERE id = $1;\nUPDATE users SET paid = true "
        "WHERE id = $2;\nCOMMIT;\nBEGIN;\nUPDATE users SET paid = false WHERE id = $1;\n"
        "UPDATE accounts SET total = 0 WHERE id = $2;\nCOMMIT;"
    ),
    passes=(
        "BEGIN;\nUPDATE accounts SET total = 1 WHERE id = $1;\nUPDATE users SET paid = true "
        "WHERE id = $2;\nCOMMIT;\nBEGIN;\nUPDATE accounts SET total = 0 WHERE id = $1;\n"
        "UPDATE users SET paid = false WHERE id = $2;\nCOMMIT;"
    ),
    check=_check,
    check_script=_check_script,
)
