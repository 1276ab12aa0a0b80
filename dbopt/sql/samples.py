"""A statement made ready to run on samples of its tables: which it reads, what it compares. PURE.

Used to check a rewrite: both texts run on the same copies (dbopt.pg.rewrite). The text is edited
token by token, so that what runs is what was written.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

from sqlglot import exp

from dbopt.sql.calls import calls
from dbopt.sql.classify import Judged, judge
from dbopt.sql.columns import folded
from dbopt.sql.comparisons import FLIPPED, column_in, constant, counts, linked, order, pairs
from dbopt.sql.functions import is_harmless
from dbopt.sql.lexer import Lexeme
from dbopt.sql.query import Kind, Relation
from dbopt.sql.respell import spellings
from dbopt.sql.schema import RelationKind, Schema, SchemaRelation

SYSTEM_SCHEMAS = frozenset({"pg_catalog", "information_schema"})
"""Their relations are read as they are: they have no sample."""

_EXAMINED = frozenset({Kind.READ, Kind.UPDATE, Kind.DELETE})


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table that the statement names."""

    relation: Relation
    name: str


@dataclass(frozen=True, slots=True)
class Compared:
    """A column compared with a constant, or with parameter `number`.

    `bound` is "low" where the column has to be above it, "high" below it, "" else. `many`: the
    parameter is an array of such values.
    """

    column: Column
    constant: str = ""
    number: int = 0
    bound: str = ""
    many: bool = False


@dataclass(frozen=True)
class Ready:
    """A statement that can run on samples.

    `tables` are its tables and views, without the system's own; `mentioned` its columns among
    theirs; `links` pairs of columns that it joins; `counts` the parameters of LIMIT and OFFSET.
    `order` are the keys of its ORDER BY as names or positions of output columns, None where one
    is neither; () without.
    """

    kind: Kind
    tables: tuple[SchemaRelation, ...]
    target: Relation | None
    mentioned: tuple[Column, ...]
    compared: tuple[Compared, ...]
    links: tuple[tuple[Column, Column], ...]
    parameters: frozenset[int]
    counts: frozenset[int]
    order: tuple[str | int | None, ...]
    _parts: tuple[str, ...] = field(repr=False)
    _places: tuple[tuple[int, int, Relation, str], ...] = field(repr=False)
    _numbers: Mapping[int, int] = field(repr=False)

    def text(self, names: Mapping[Relation, str], values: Mapping[int, str]) -> str:
        """Its SQL with these relations, as SQL, and these parameters, as SQL."""
        parts = list(self._parts)
        for at, number in self._numbers.items():
            parts[at] = values[number]
        for first, last, relation, alias in self._places:
            parts[first : last + 1] = [""] * (last + 1 - first)
            parts[first] = f"{names[relation]} {alias}".strip() if relation in names else alias
        return " ".join(part for part in parts if part)


def ready(text: str, schema: Schema) -> Ready | str:
    """The statement made ready, or why it cannot be. Never raises."""
    statements = judge(text)
    if len(statements) != 1:
        return "it is not one statement"
    (judged,) = statements
    parts = spellings(judged.statement.tokens)
    reason = _unfit(judged, schema)
    if reason or parts is None or judged.tree is None:
        return reason or "it cannot be parsed"
    return _Reader(judged, judged.tree, parts, schema).read()


def literal(value: str | None, type_: str) -> str:
    """A value in PostgreSQL's text form as SQL, where standard_conforming_strings is on."""
    return f"CAST({_quoted(value)} AS {type_})"


def array(values: Iterable[str | None], type_: str) -> str:
    """An array of such values as SQL."""
    return f"CAST(ARRAY[{', '.join(map(_quoted, values))}] AS {type_}[])"


def _quoted(value: str | None) -> str:
    return "NULL" if value is None else "'" + value.replace("'", "''") + "'"


def _unfit(judged: Judged, schema: Schema) -> str:
    does, tree = judged.does, judged.tree
    if does.kind not in _EXAMINED:
        return f"{does.kind} statements are not run"
    if tree is None or not does.parsed or judged.statement.words[:1] in {("explain",), ("copy",)}:
        return "it is no query that can be parsed"
    if does.kind is Kind.READ and not does.read_only:
        return "it may write"
    if does.kind is not Kind.READ and not _writes_only(judged, tree):
        return "it may do more than change its table"
    if any(table.args.get("only") or table.args.get("sample") for table in _tables(tree)):
        return "ONLY and TABLESAMPLE mean nothing on a sample"
    return next(filter(None, (_unknown(name, schema) for name in (*does.reads, *does.writes))), "")


def _writes_only(judged: Judged, tree: exp.Expr) -> bool:
    nodes = list(tree.walk())
    inner = (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Into, exp.Lock)
    if any(isinstance(node, inner) and node is not tree for node in nodes):
        return False
    called = calls(judged.statement.tokens, nodes)
    return len(judged.does.writes) == 1 and all(is_harmless(*one) for one in called)


def _unknown(named: Relation, schema: Schema) -> str:
    found = schema.find(named)
    if found is None:
        return f"the relation {named} is not known"
    if found.kind is RelationKind.SEQUENCE:
        return "it reads a sequence"
    risky = next((f for f in found.functions if not _is_calm(*f, schema)), None)
    return f"the view {named} calls {'.'.join(risky)}()" if risky else ""


def _is_calm(function_schema: str, name: str, schema: Schema) -> bool:
    return is_harmless(function_schema, name) or schema.volatility(function_schema, name) in {
        "i",
        "s",
    }


def _tables(tree: exp.Expr) -> Iterator[exp.Table]:
    return (one for one in tree.find_all(exp.Table) if isinstance(one.this, exp.Identifier))


class _Reader:
    """Reads one tree."""

    def __init__(
        self, judged: Judged, tree: exp.Expr, parts: Sequence[str], schema: Schema
    ) -> None:
        self._judged, self._tree, self._parts, self._schema = judged, tree, parts, schema
        self._starts = [0, *accumulate(len(part) + 1 for part in parts[:-1])]
        self._ctes = {folded(one.args["alias"].this) for one in tree.find_all(exp.CTE)}
        self._bases = {*judged.does.reads, *judged.does.writes}
        self._named: dict[str, set[Relation]] = {}
        self._known: dict[Relation, SchemaRelation] = {}

    def read(self) -> Ready | str:
        if any(not one.schema and one.name in self._ctes for one in self._bases):
            return "a table and a WITH query have one name"
        places = [*self._table_places()]
        columns = list(self._tree.find_all(exp.Column))
        compared = tuple(dict.fromkeys(self._comparisons()))
        numbers = self._parameter_places()
        does = self._judged.does
        return Ready(
            kind=does.kind,
            tables=tuple(self._known.values()),
            target=self._base(does.writes[0]) if does.writes else None,
            mentioned=tuple(dict.fromkeys(c for one in columns for c in self._resolve(one))),
            compared=compared,
            links=tuple(dict.fromkeys(self._links())),
            parameters=frozenset(numbers.values()),
            counts=frozenset(counts(self._tree)),
            order=tuple(order(self._tree)),
            _parts=tuple(self._parts),
            _places=(*places, *self._qualified_columns(columns)),
            _numbers=numbers,
        )

    def _base(self, named: Relation) -> Relation:
        found = self._schema.find(named)
        return found.relation if found else named

    def _table_places(self) -> Iterator[tuple[int, int, Relation, str]]:
        for table in _tables(self._tree):
            qualifier = table.args.get("db")
            named = Relation(folded(qualifier) if qualifier else "", folded(table.this))
            found = self._schema.find(named) if named in self._bases else None
            if found is None or found.relation.schema in SYSTEM_SCHEMAS:
                continue
            self._known[found.relation] = found
            alias = folded(table.args["alias"].this) if table.alias else named.name
            self._named.setdefault(alias, set()).add(found.relation)
            first, last = self._token(qualifier or table.this), self._token(table.this)
            quoted = alias.replace('"', '""')
            yield first, last, found.relation, "" if table.alias else f'AS "{quoted}"'

    def _qualified_columns(
        self, columns: Iterable[exp.Column]
    ) -> Iterator[tuple[int, int, Relation, str]]:
        """`schema.table.column` without its schema: the sample is in another."""
        nowhere = Relation("", "")
        for column in columns:
            qualifier = column.args.get("db")
            if qualifier is not None:
                at = self._token(qualifier)
                yield at, at + 1, nowhere, ""

    def _token(self, identifier: exp.Expr) -> int:
        return bisect_right(self._starts, identifier.meta["start"]) - 1

    def _parameter_places(self) -> dict[int, int]:
        tokens = self._judged.statement.tokens
        return {
            at: int(token.text[1:])
            for at, token in enumerate(tokens)
            if token.lexeme is Lexeme.PARAM
        }

    def _resolve(self, node: exp.Expr | None) -> list[Column]:
        """The columns that a name may mean. Too many do no harm: they only vary more rows."""
        if not isinstance(node, exp.Column) or not isinstance(node.this, exp.Identifier):
            return []
        name = folded(node.this)
        qualifier = folded(node.args["table"]) if node.args.get("table") else ""
        # Behind the name of a subquery or of a WITH query may be any.
        tables: Collection[Relation] = self._named.get(qualifier, self._known.keys())
        return [Column(one, name) for one in tables if name in self._known[one].columns]

    def _comparisons(self) -> Iterator[Compared]:
        for node in self._tree.walk():
            for left, right, bound in pairs(node):
                for side, other, which in ((left, right, bound), (right, left, FLIPPED[bound])):
                    value, number, many = constant(other)
                    if value or number:
                        for column in self._resolve(column_in(side)):
                            yield Compared(column, value, number, which, many)

    def _links(self) -> Iterator[tuple[Column, Column]]:
        for node in self._tree.find_all(exp.EQ, exp.In, exp.Join):
            for left, right in linked(node):
                for one in self._resolve(left):
                    yield from ((one, two) for two in self._resolve(right) if one != two)
            for name in (node.args.get("using") or ()) if isinstance(node, exp.Join) else ():
                holders = [t for t in self._known.values() if folded(name) in t.columns]
                for a, b in pairwise(holders):
                    yield Column(a.relation, folded(name)), Column(b.relation, folded(name))
