"""implicit-cross-join: tables that no condition links, so every row meets every row."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from sqlglot import exp

from dbopt.sql.columns import folded
from dbopt.sql.findings import Severity
from dbopt.sql.rules.predicates import (
    STATEMENTS,
    Scopes,
    as_column,
    bare,
    is_constant,
)
from dbopt.sql.rules.sources import Source, is_key, is_named, source_of, statement_of
from dbopt.sql.rules.support import Match, Rule
from dbopt.sql.script import Subject
from dbopt.sql.shape import conjuncts

_MOST = 100
"""Tables in one FROM. No person wrote more, and each costs a walk over the statement."""
_KEYS = ("code", "key", "name", "slug", "uuid")
"""How the names of columns end that find one row, as far as a name can tell; and `id`."""


def _check(subject: Subject) -> Iterator[Match]:
    if subject.tree is None:
        return
    scopes = Scopes(subject.schema)
    single = {
        folded(cte.args["alias"].this)
        for cte in subject.tree.find_all(exp.CTE)
        if _gives_one_row(cte.this)
    }
    for statement in subject.tree.find_all(*STATEMENTS):
        if not 1 <= _other_tables(statement) < _MOST:
            continue
        sources = scopes.of(statement)
        if len(sources) < 2 or not all(source.name for source in sources):
            continue
        lonely = _Links(scopes, statement, sources, single).unlinked()
        if lonely is not None:
            yield Match(subject, _message(lonely, sources), lonely.node)


def _other_tables(statement: exp.Expr) -> int:
    """How many tables there are beside the first, at once: most statements have none."""
    using = statement.args.get("using") or []
    clause = statement.args.get("from_")
    first = [clause.this] if clause is not None else []
    joins = [join for node in (statement, *using, *first) for join in node.args.get("joins") or ()]
    written = isinstance(statement, exp.Update | exp.Delete)
    return len(joins) + len(using) + (len(first) if written else 0)


def _message(lonely: Source, sources: Sequence[Source]) -> str:
    others = ", ".join(source.name for source in sources if source is not lonely)
    return f"No condition links {lonely.name} to {others}: every row is paired with every row."


class _Links:
    """The sources of one statement, and which of them some condition links, however far."""

    def __init__(
        self,
        scopes: Scopes,
        statement: exp.Expr,
        sources: Sequence[Source],
        single: Collection[str],
    ) -> None:
        """`single` are the names of CTEs that give one row."""
        self._scopes = scopes
        self._statement = statement
        self._single = single
        self._sources = sources
        self._numbers = {source.name: at for at, source in enumerate(sources)}
        # One more than there are sources: what is linked by intent, and what stands outside.
        self._groups = list(range(len(sources) + 1))
        self._outside = len(sources)

    def unlinked(self) -> Source | None:
        """A source that nothing links to the first; None where all are, or that cannot be told."""
        joins = list(_joins(self._statement, self._sources))
        conditions = [join.args.get("on") for join in joins]
        where = self._statement.args.get("where")
        conditions.append(where.this if isinstance(where, exp.Where) else None)
        if len(self._numbers) < len(self._sources):
            return None
        self._link_intended(joins)
        parts = [part for condition in conditions for part in conjuncts(condition)]
        if not all(map(self._link, parts)):
            return None
        self._link_found(parts)
        roots = [self._root(at) for at in range(len(self._sources))]
        alone = [at for at, root in enumerate(roots) if root != roots[0]]
        return self._sources[alone[0]] if alone else None

    def _link_intended(self, joins: Sequence[exp.Join]) -> None:
        """CROSS JOIN, ON true, USING, NATURAL, and what in FROM is no table or has one row."""
        joined = {id(join.this) for join in joins if _says_how(join)}
        for at, source in enumerate(self._sources):
            if id(source.node) in joined:
                self._unite(at, max(at - 1, 0))
            if not _is_table(source.node) or self._has_one_row(source.node):
                self._unite(at, 0)
                self._unite(at, self._outside)

    def _has_one_row(self, node: exp.Expr) -> bool:
        if isinstance(node, exp.Subquery):
            return _gives_one_row(node.this)
        return node.args.get("db") is None and folded(node.this) in self._single

    def _link(self, part: exp.Expr) -> bool:
        """Notes what a condition links; False where it may link what cannot be told."""
        columns = [c for c in part.find_all(exp.Column) if isinstance(c.this, exp.Identifier)]
        if len(columns) < 2:
            return True
        numbers = [self._number(column) for column in columns]
        known = [number for number in numbers if number is not None]
        for number in known[1:]:
            self._unite(known[0], number)
        return len(known) == len(numbers)

    def _number(self, column: exp.Column) -> int | None:
        """The number of a column's source; None where it may be any."""
        table = column.args.get("table")
        if table is not None:
            return self._numbers.get(folded(table), self._outside)
        inner = statement_of(column)
        if inner is not None and inner is not self._statement:
            own = source_of(column, self._scopes.of(inner))
            return self._outside if own is not None and own.relation is not None else None
        source = source_of(column, self._sources)
        return self._numbers[source.name] if source is not None else None

    def _link_found(self, parts: Sequence[exp.Expr]) -> None:
        """What is compared with one constant is linked by it, and what is found by a key is one
        row."""
        found: dict[int, set[str]] = {}
        same: dict[str, int] = {}
        for column, constant in filter(None, map(_found_by, parts)):
            number = self._number(column)
            if number is None or number == self._outside:
                continue
            found.setdefault(number, set()).add(folded(column.this))
            self._unite(number, same.setdefault(constant, number))
        for number, names in found.items():
            relation = self._sources[number].relation
            if is_key(relation, frozenset(names)) or (
                relation is None and any(map(_may_be_key, names))
            ):
                self._unite(number, self._outside)
                self._unite(number, 0)

    def _unite(self, one: int, other: int) -> None:
        self._groups[self._root(one)] = self._root(other)

    def _root(self, number: int) -> int:
        while self._groups[number] != number:
            self._groups[number] = self._groups[self._groups[number]]
            number = self._groups[number]
        return number


def _joins(statement: exp.Expr, sources: Sequence[Source]) -> Iterator[exp.Join]:
    for node in (statement, *(source.node for source in sources)):
        yield from node.args.get("joins") or ()


def _says_how(join: exp.Join) -> bool:
    on = bare(join.args.get("on"))
    return bool(
        join.kind.upper() == "CROSS"
        or join.method
        or join.args.get("using")
        or (isinstance(on, exp.Boolean) and on.this)
    )


def _is_table(node: exp.Expr) -> bool:
    """Whether this is a table, a CTE or a subquery: a function in FROM mostly unfolds a column."""
    if isinstance(node, exp.Subquery):
        return isinstance(node.this, exp.Query)
    return is_named(node)


def _gives_one_row(query: exp.Expr) -> bool:
    """Whether a query gives one row at most: an aggregate of all, LIMIT 1, no FROM."""
    if not isinstance(query, exp.Select):
        return False
    limit = query.args.get("limit")
    count = limit.args.get("expression") or limit.args.get("count") if limit is not None else None
    if isinstance(count, exp.Literal) and str(count.this) in {"0", "1"}:
        return True
    if query.args.get("from_") is None:
        return True
    outputs = [output.unalias() for output in query.expressions]
    total = any(output.find(exp.AggFunc) and not output.find(exp.Window) for output in outputs)
    return total and not query.args.get("group")


def _may_be_key(name: str) -> bool:
    return name == "id" or name.endswith(_KEYS)


def _found_by(part: exp.Expr) -> tuple[exp.Column, str] | None:
    """The column and the constant's text, where a condition says that these are equal."""
    if not isinstance(part, exp.EQ):
        return None
    for one, other in ((part.this, part.expression), (part.expression, part.this)):
        column = as_column(one)
        if column is not None and is_constant(other):
            return column, other.sql(dialect="postgres")
    return None


RULE = Rule(
    name="implicit-cross-join",
    severity=Severity.WARNING,
    summary="Tables in one FROM that no condition links.",
    reason="Every row of one is paired with every row of the other: the work and the result grow "
    "with the product of both. Mostly a join condition was forgotten, and DISTINCT hides it.",
    remedy="Say how the tables belong together (JOIN ... ON ...), or write CROSS JOIN where all "
    "pairs are wanted.",
    fires="select o.id, u.name from orders o, users u where o.status = 'open'",
    passes="select o.id, u.name from orders o, users u where o.user_id = u.id",
    check=_check,
)
