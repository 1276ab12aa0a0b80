"""Subqueries in FROM and CTEs: what each gives by name, and which names the statement may read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from sqlglot import exp

from dbopt.sql.columns import folded
from dbopt.sql.indexdef import quote_name
from dbopt.sql.rules.predicates import Scopes
from dbopt.sql.rules.sources import statement_of

_REMOVABLE = (
    *(exp.AggFunc, exp.Case, exp.If, exp.Cast, exp.Coalesce, exp.Nullif, exp.Greatest, exp.Least),
    *(
        exp.Lower,
        exp.Upper,
        exp.Trim,
        exp.Substring,
        exp.Length,
        exp.Concat,
        exp.DPipe,
        exp.Replace,
    ),
    *(exp.Abs, exp.Round, exp.Floor, exp.Ceil, exp.Extract, exp.TimestampTrunc, exp.Date),
    *(exp.CurrentDate, exp.CurrentTimestamp, exp.RowNumber, exp.Rank, exp.DenseRank, exp.Lag),
    *(exp.Lead, exp.NthValue, exp.FirstValue, exp.LastValue, exp.And, exp.Or, exp.Exists),
)
"""Calls that give one value, write nothing and are no other each time: whoever drops one drops
neither rows nor a side effect. Anything else is kept."""
_KEY_LISTS = (exp.Ordered, exp.Order, exp.Group, exp.Cube, exp.Rollup, exp.GroupingSets)
_MOST = 20
"""Subqueries and CTEs that are looked at: each costs a walk over the whole statement."""


@dataclass(frozen=True, slots=True)
class Derived:
    """A subquery in FROM or a CTE that is one SELECT. `place` is its node, `body` the SELECT."""

    place: exp.Expr
    alias: exp.Expr
    body: exp.Select
    references: tuple[exp.Expr, ...]
    outputs: dict[str, exp.Expr] = field(default_factory=dict)

    @property
    def is_stored(self) -> bool:
        """Whether PostgreSQL (12 and later) computes it by itself, with all that it gives."""
        if not isinstance(self.place, exp.CTE):
            return False
        materialized = self.place.args.get("materialized")
        return bool(materialized or (materialized is None and len(self.references) > 1))

    def used(self) -> set[str] | None:
        """The names that the rest of the statement may read of it; None where that is all."""
        qualifiers = {_reference_name(node) for node in self.references}
        if any(map(_reads_all, self.references)):
            return None
        used: set[str] = set()
        for node in self._outside():
            if isinstance(node, exp.Column):
                table = node.args.get("table")
                if table is not None and folded(table) not in qualifiers:
                    continue
                if isinstance(node.this, exp.Star):
                    return None
                used.add(folded(node.this))
            elif isinstance(node, exp.Identifier) and not isinstance(
                node.parent, exp.Column | exp.Table | exp.TableAlias | exp.Alias
            ):
                used.add(folded(node))
        # A name of the table stands for the whole row.
        return None if used & qualifiers else used | self._used_inside()

    def must_keep(self, name: str, used: set[str]) -> bool:
        """Whether an output is read, or does more than to give a value."""
        return name in used or not _is_removable(self.outputs[name])

    def keeps_its_rows(self, kept: dict[str, exp.Expr]) -> bool:
        """Whether it gives as many rows with these outputs: an aggregate of all makes one."""
        if self.body.args.get("group") is not None:
            return True
        before = any(map(_aggregates, self.body.expressions))
        return not before or any(map(_aggregates, kept.values()))

    def _outside(self) -> Iterator[exp.Expr]:
        """The nodes of the statement but for its own SELECT, and those that cannot see it."""
        owners = {id(statement_of(node)) for node in self.references}
        above = {id(node) for reference in self.references for node in _ancestors(reference)}

        def is_closed(node: exp.Expr) -> bool:
            if node is self.body:
                return True
            return id(node) not in above and _is_closed(node, owners)

        return self.place.root().walk(prune=is_closed)

    def _used_inside(self) -> set[str]:
        """Outputs that its own ORDER BY or GROUP BY may name."""
        clauses = [self.body.args.get(part) for part in ("order", "group")]
        columns = [c for part in clauses if part is not None for c in part.find_all(exp.Column)]
        return {folded(column.this) for column in columns}


def derived_tables(tree: exp.Expr, scopes: Scopes) -> Iterator[Derived]:
    """Those whose outputs can be told by name, and can be left out without a change of rows."""
    names = Counter(folded(cte.args["alias"].this) for cte in tree.find_all(exp.CTE))
    for node in islice(tree.find_all(exp.CTE, exp.Subquery, exp.Lateral), _MOST):
        alias, body = node.args.get("alias"), node.this
        if isinstance(node, exp.Lateral) and isinstance(body, exp.Subquery):
            body = body.this
        if not isinstance(alias, exp.TableAlias) or alias.this is None or alias.columns:
            continue
        if not isinstance(body, exp.Select) or not _can_be_cut(body):
            continue
        references = tuple(_references(tree, node, folded(alias.this), names))
        outputs = _outputs(body, scopes)
        if references and len(outputs) > 1:
            yield Derived(node, alias.this, body, references, outputs)


def _can_be_cut(body: exp.Select) -> bool:
    """No DISTINCT and no place in a set operation, which compare whole rows; no ordinals."""
    if body.args.get("distinct") or body.args.get("into"):
        return False
    clauses = [body.args.get(part) for part in ("order", "group")]
    return not any(_has_ordinal(clause) for clause in clauses if clause is not None)


def _has_ordinal(clause: exp.Expr) -> bool:
    """Whether a number stands for an output, be it in ROLLUP or GROUPING SETS."""
    return any(isinstance(_around(literal), _KEY_LISTS) for literal in clause.find_all(exp.Literal))


def _around(literal: exp.Expr) -> exp.Expr | None:
    above = literal.parent
    while isinstance(above, exp.Paren | exp.Tuple):
        above = above.parent
    return above


def _references(
    tree: exp.Expr, node: exp.Expr, name: str, names: Counter[str]
) -> Iterator[exp.Expr]:
    """Where it is read; nothing where that cannot be told."""
    if not isinstance(node, exp.CTE):
        if isinstance(node.parent, exp.From | exp.Join):
            yield node
        return
    clause = node.parent
    if names[name] > 1 or not isinstance(clause, exp.With) or clause.recursive:
        return
    tables = [t for t in tree.find_all(exp.Table) if _is_named(t, name)]
    inside = {id(part) for part in node.this.walk()}
    if all(id(t) not in inside and isinstance(t.parent, exp.From | exp.Join) for t in tables):
        yield from tables


def _is_named(table: exp.Table, name: str) -> bool:
    named = isinstance(table.this, exp.Identifier) and table.args.get("db") is None
    return named and folded(table.this) == name


def _outputs(body: exp.Select, scopes: Scopes) -> dict[str, exp.Expr]:
    """Its outputs by name, in order; none where a name is given twice or by nobody."""
    outputs: dict[str, exp.Expr] = {}
    for output in _expanded(body, scopes):
        if isinstance(output, exp.Alias):
            name = folded(output.args["alias"])
        elif isinstance(output, exp.Column) and isinstance(output.this, exp.Identifier):
            name = folded(output.this)
        else:
            return {}
        if name in outputs:
            return {}
        outputs[name] = output
    return outputs


def _expanded(body: exp.Select, scopes: Scopes) -> Sequence[exp.Expr]:
    """The outputs, with the columns of the one table that `*` stands for, if it is known."""
    sources = scopes.of(body)
    if len(body.expressions) != 1 or not isinstance(body.expressions[0], exp.Star):
        return body.expressions
    relation = sources[0].relation if len(sources) == 1 else None
    names = relation.columns if relation is not None else ()
    return [exp.Column(this=_identifier(name)) for name in names]


def _identifier(name: str) -> exp.Identifier:
    return exp.Identifier(this=name, quoted=quote_name(name) != name)


def _is_removable(output: exp.Expr) -> bool:
    calls = [node for node in output.walk() if isinstance(node, exp.Func)]
    return all(isinstance(call, _REMOVABLE) for call in calls) and not output.find(exp.Dot)


def _aggregates(output: exp.Expr) -> bool:
    """Whether an output aggregates rows; a window function does not."""
    for call in output.find_all(exp.AggFunc):
        holder = call.parent
        while isinstance(holder, exp.Filter | exp.WithinGroup | exp.IgnoreNulls):
            holder = holder.parent
        if not isinstance(holder, exp.Window):
            return True
    return False


def _reads_all(reference: exp.Expr) -> bool:
    """Whether a star, NATURAL or a list of names for the columns takes all of it."""
    alias = reference.args.get("alias")
    if isinstance(reference, exp.Table) and isinstance(alias, exp.TableAlias) and alias.columns:
        return True
    owner = statement_of(reference)
    if owner is None:
        return True
    returning = owner.args.get("returning")
    outputs = returning.expressions if returning is not None else []
    outputs = outputs + (owner.expressions if isinstance(owner, exp.Select) else [])
    natural = any(join.method for join in owner.find_all(exp.Join))
    return natural or any(isinstance(output, exp.Star) for output in outputs)


def _reference_name(reference: exp.Expr) -> str:
    alias = reference.args.get("alias")
    named = alias.this if isinstance(alias, exp.TableAlias) and alias.this else reference.this
    return folded(named)


def _is_closed(node: exp.Expr, owners: set[int]) -> bool:
    """Whether a SELECT is blind to the tables of these statements: beside them in FROM without
    LATERAL, or a CTE of the whole."""
    if isinstance(node, exp.CTE):
        clause = node.parent
        return clause is not None and clause.parent is node.root()
    beside = isinstance(node, exp.Subquery) and isinstance(node.parent, exp.From | exp.Join)
    return beside and id(statement_of(node)) in owners


def _ancestors(node: exp.Expr) -> Iterator[exp.Expr]:
    above: exp.Expr | None = node
    while above is not None:
        yield above
        above = above.parent
