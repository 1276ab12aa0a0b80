"""select-star: `SELECT *` of a table, where it reaches the client."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from dbopt.sql.columns import folded
from dbopt.sql.findings import Severity
from dbopt.sql.indexdef import quote_name
from dbopt.sql.query import Kind
from dbopt.sql.rules.predicates import Scopes
from dbopt.sql.rules.sources import Source, is_named
from dbopt.sql.rules.support import Match, Rule
from dbopt.sql.script import Subject

_SYSTEM = ("pg_", "information_schema")


def _check(subject: Subject) -> Iterator[Match]:
    if subject.judged.does.kind is Kind.DDL:
        return  # a view or a copy of a table: its columns are fixed when it is made
    tree = subject.tree
    source = tree.expression if isinstance(tree, exp.Insert) else tree
    if not isinstance(source, exp.Select | exp.SetOperation | exp.Subquery):
        return
    for star, tables in _Outputs(subject).stars(source):
        yield Match(subject, _message(tables), star, remedy=_remedy(tables))


class _Outputs:
    """Follows what a query gives, through subqueries and CTEs, to the stars that make it."""

    def __init__(self, subject: Subject) -> None:
        assert subject.tree is not None  # noqa: S101 - its only caller looked
        self._scopes = Scopes(subject.schema)
        self._ctes: dict[str, exp.Expr] = {}
        for cte in subject.tree.find_all(exp.CTE):
            self._ctes[folded(cte.args["alias"].this)] = cte.this
        self._seen: set[int] = set()

    def stars(self, query: exp.Expr) -> Iterator[tuple[exp.Expr, list[Source]]]:
        """Each star whose columns are given, with the tables that it stands for."""
        todo = [query]
        while todo:
            node = todo.pop()
            if id(node) in self._seen:
                continue
            self._seen.add(id(node))
            if isinstance(node, exp.Subquery):
                todo.append(node.this)
            elif isinstance(node, exp.SetOperation):
                todo += [node.expression, node.this]
            elif isinstance(node, exp.Select):
                for star in filter(_is_star, node.expressions):
                    covered = [s for s in self._scopes.of(node) if _covers(star, s)]
                    todo += [inner for s in covered if (inner := self._query(s)) is not None]
                    if tables := [s for s in covered if self._is_table(s)]:
                        yield star, tables

    def _query(self, source: Source) -> exp.Expr | None:
        node = source.node.this if isinstance(source.node, exp.Lateral) else source.node
        if isinstance(node, exp.Subquery):
            return node
        return self._ctes.get(self._cte_name(node))

    def _cte_name(self, node: exp.Expr) -> str:
        return folded(node.this) if is_named(node) and not node.args.get("db") else ""

    def _is_table(self, source: Source) -> bool:
        node = source.node
        if not isinstance(node, exp.Table) or not is_named(node):
            return False
        names = (folded(node.this), node.db)
        return names[0] not in self._ctes and not any(n.startswith(_SYSTEM) for n in names)


def _is_star(projection: exp.Expr) -> bool:
    inner = projection.this if isinstance(projection, exp.Column) else projection
    return isinstance(inner, exp.Star)


def _covers(star: exp.Expr, source: Source) -> bool:
    table = star.args.get("table")
    return table is None or folded(table) == source.name


def _message(tables: list[Source]) -> str:
    named = ", ".join(dict.fromkeys(folded(source.node.this) for source in tables))
    columns = sum(len(s.relation.columns) for s in tables if s.relation is not None)
    known = columns and all(source.relation is not None for source in tables)
    what = f"all {columns} columns" if known else "every column"
    return f"SELECT * reads {what} of {named}."


def _remedy(tables: list[Source]) -> str:
    """The columns to choose from, where there are few enough to be read."""
    relation = tables[0].relation
    if len(tables) > 1 or relation is None or not relation.columns:
        return ""
    names = ", ".join(map(quote_name, relation.columns))
    return f"Name the columns that are needed, of: {names}."


RULE = Rule(
    name="select-star",
    severity=Severity.WARNING,
    summary="SELECT * of a table.",
    reason="It reads columns that nobody needs: wide values are fetched from TOAST and sent over "
    "the network, no index-only scan can serve it, and sorts and hashes carry every column. A "
    'column that is added later changes the result: prepared statements fail with "cached plan '
    'must not change result type".',
    remedy="Name the columns that are needed.",
    fires="select * from users where id = $1",
    passes="select id, (select count(*) from orders) from users u "
    "where exists (select * from orders o where o.user_id = u.id)",
    check=_check,
)
