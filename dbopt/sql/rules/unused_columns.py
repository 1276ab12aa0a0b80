"""unused-columns: what a subquery or CTE gives and nobody reads.

sqlglot's optimizer has this as qualify and pushdown_projections; but it quotes every name, gives
every table an alias and drops outputs that make rows (unnest), so a statement's own tree is
pruned here. A name is taken for a use wherever it may be one.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from dbopt.sql.columns import folded
from dbopt.sql.findings import Severity
from dbopt.sql.rules.outputs import Derived, derived_tables
from dbopt.sql.rules.predicates import Scopes, copied, is_rewritable
from dbopt.sql.rules.render import rewritten
from dbopt.sql.rules.support import Match, Rule
from dbopt.sql.script import Subject

_MOST_NAMED = 5


def _check(subject: Subject) -> Iterator[Match]:
    if subject.tree is None or not is_rewritable(subject):
        return
    found = list(_found(subject, subject.tree))
    rewrite = _rewrite(subject, subject.tree, found) if found else ""
    for derived, kept in found:
        severity = Severity.WARNING if derived.is_stored else None
        message = _message(derived, [n for n in derived.outputs if n not in kept])
        yield Match(subject, message, derived.place, rewrite, severity=severity)


def _found(subject: Subject, tree: exp.Expr) -> Iterator[tuple[Derived, dict[str, exp.Expr]]]:
    """Each derived table that gives too much, with the outputs that are enough, by their names."""
    for derived in derived_tables(tree, Scopes(subject.schema)):
        used = derived.used()
        if used is None:
            continue
        kept = {n: node for n, node in derived.outputs.items() if derived.must_keep(n, used)}
        if not kept:
            first = next(iter(derived.outputs))
            kept = {first: derived.outputs[first]}
        if len(kept) < len(derived.outputs) and derived.keeps_its_rows(kept):
            yield derived, kept


def _rewrite(
    subject: Subject, tree: exp.Expr, found: list[tuple[Derived, dict[str, exp.Expr]]]
) -> str:
    twins = copied(tree)
    for derived, kept in found:
        twins[id(derived.body)].set("expressions", [node.copy() for node in kept.values()])
    return rewritten(subject, twins[id(tree)])


def _message(derived: Derived, unread: list[str]) -> str:
    named = ", ".join(unread[:_MOST_NAMED])
    more = f" and {len(unread) - _MOST_NAMED} more" if len(unread) > _MOST_NAMED else ""
    name = folded(derived.alias)
    return f"{name} gives columns that nobody reads: {named}{more}."


RULE = Rule(
    name="unused-columns",
    severity=Severity.INFO,
    summary="A subquery or CTE gives columns that the statement does not read.",
    reason="PostgreSQL drops unread outputs of a subquery that it can see through. A CTE that is "
    "read twice or is MATERIALIZED is stored with all its columns, computed for every row. "
    "Elsewhere they mislead whoever reads the statement.",
    remedy="Leave the columns out.",
    fires="with recent as materialized (select id, user_id, note from orders where total > 10) "
    "select user_id from recent where id > 100",
    passes="with recent as materialized (select id, user_id from orders where total > 10) "
    "select r.* from recent r",
    check=_check,
)
