"""not-in-subquery: NOT IN finds nothing once the subquery gives a NULL, and is never a join."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from dbopt.sql.columns import folded
from dbopt.sql.findings import Severity
from dbopt.sql.rules.predicates import (
    STATEMENTS,
    Scopes,
    as_column,
    bare,
    is_column,
    replaced,
)
from dbopt.sql.rules.sources import Source, source_of, statement_of
from dbopt.sql.rules.support import Match, Rule
from dbopt.sql.script import Subject
from dbopt.sql.shape import conjuncts

_TRAP = "NOT IN (SELECT ...) is true of no row as soon as the subquery gives a NULL."
_SLOW = "NOT IN (SELECT ...) cannot be an anti-join."
_NO_TRAP_REMEDY = "Write NOT EXISTS (SELECT 1 FROM ... WHERE ... = ...): it can be an anti-join."
_NOT_ALLOWED = (
    *("group", "having", "limit", "offset", "distinct", "windows", "order", "locks", "with_"),
    *("into", "laterals"),
)


def _check(subject: Subject) -> Iterator[Match]:
    if subject.tree is None:
        return
    scopes = Scopes(subject.schema)
    for negation in subject.tree.find_all(exp.Not):
        test = bare(negation.this)
        query = test.args.get("query") if isinstance(test, exp.In) else None
        select = query.this if isinstance(query, exp.Subquery) else None
        if test is None or select is None or not _reads_a_table(select):
            continue
        if isinstance(select, exp.Select) and _gives_no_null(select, scopes):
            rewrite = _rewrite(subject, scopes, negation, test, select)
            yield Match(subject, _SLOW, test, rewrite, _NO_TRAP_REMEDY, Severity.INFO)
        else:
            yield Match(subject, _TRAP, test)


def _reads_a_table(query: exp.Expr) -> bool:
    tables = query.find_all(exp.Table)
    return any(isinstance(table.this, exp.Identifier) for table in tables)


def _gives_no_null(select: exp.Select, scopes: Scopes) -> bool:
    """Whether the subquery's one column is NOT NULL, by its table or by a condition."""
    given = as_column(select.expressions[0].unalias()) if len(select.expressions) == 1 else None
    if given is None or _pads_with_nulls(select):
        return False
    where = select.args.get("where")
    tests = conjuncts(where.this if where is not None else None)
    if any(_is_not_null(test, given) for test in tests):
        return True
    known = scopes.column(given, select)
    return known is not None and known.not_null and not select.args.get("group")


def _is_not_null(test: exp.Expr, column: exp.Column) -> bool:
    if not isinstance(test, exp.Is) or not isinstance(test.expression, exp.Null):
        return False
    return bool(test.args.get("negate")) and as_column(test.this) == column


def _pads_with_nulls(statement: exp.Expr) -> bool:
    """Whether an outer join may stand NULLs in for columns that hold none."""
    return any(join.side for join in statement.find_all(exp.Join))


def _rewrite(
    subject: Subject, scopes: Scopes, negation: exp.Expr, test: exp.Expr, select: exp.Select
) -> str:
    """NOT EXISTS, where both sides are NOT NULL columns whose tables can be told apart."""
    owner = statement_of(negation)
    tested, given = as_column(test.this), as_column(select.expressions[0].unalias())
    if tested is None or given is None or not isinstance(owner, STATEMENTS):
        return ""
    outer, inner = source_of(tested, scopes.of(owner)), source_of(given, scopes.of(select))
    known = scopes.column(tested, owner)
    if outer is None or inner is None or not inner.name:
        return ""
    if known is None or not known.not_null:
        return ""
    if owner.args.get("group") or _pads_with_nulls(owner) or not _is_plain(select):
        return ""
    if outer.name in {source.name for source in scopes.of(select)}:
        return ""
    return replaced(subject, (negation, _not_exists(select, (tested, outer), (given, inner))))


def _is_plain(select: exp.Select) -> bool:
    projected = select.expressions[0].unalias()
    return is_column(projected) and not any(select.args.get(part) for part in _NOT_ALLOWED)


def _not_exists(
    select: exp.Select, tested: tuple[exp.Column, Source], given: tuple[exp.Column, Source]
) -> exp.Expr:
    condition = exp.EQ(this=_qualified(*tested), expression=_qualified(*given))
    found = select.copy()
    found.set("expressions", [exp.Literal.number(1)])
    return exp.Not(this=exp.Exists(this=found.where(condition, copy=False)))


def _qualified(column: exp.Column, source: Source) -> exp.Column:
    alias = source.node.args.get("alias")
    name = alias.this if alias is not None else source.node.this
    assert folded(name) == source.name  # noqa: S101 - a source is a table here, or has an alias
    return exp.Column(this=column.this.copy(), table=name.copy())


RULE = Rule(
    name="not-in-subquery",
    severity=Severity.WARNING,
    summary="NOT IN with a subquery.",
    reason="`x NOT IN (..., NULL)` is NULL, never true: one NULL in the subquery and the query "
    "finds nothing. PostgreSQL (18 and before) makes no anti-join of it: the subquery's rows are "
    "hashed if work_mem holds them, else searched one by one for each row.",
    remedy="Write NOT EXISTS (SELECT 1 FROM ... WHERE ... = ...). It differs where either side "
    "is NULL, and is mostly what was meant.",
    fires="select id from users where id not in (select user_id from banned)",
    passes="select id from users u where country not in ('FR', 'DE') "
    "and not exists (select 1 from banned b where b.user_id = u.id)",
    check=_check,
)
