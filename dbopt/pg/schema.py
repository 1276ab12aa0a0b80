"""Schema: what the analysis may know of a database, read in one short transaction.

It waits for nobody: a table that somebody holds exclusively is there without its indexes.

Sources: PostgreSQL's documentation, "System Catalogs" and "Schemas".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dbopt.pg.catalog import Index, index_of
from dbopt.pg.connect import Connection, Row
from dbopt.pg.refusal import translated
from dbopt.pg.sqlfile import statement
from dbopt.sql.indexdef import IndexDefinition
from dbopt.sql.lexer import Lexeme, code, unquote
from dbopt.sql.query import Relation
from dbopt.sql.schema import RelationKind, Schema, SchemaColumn, SchemaRelation

LOCK_TIMEOUT = 0.5
"""Seconds. Deparsing an index locks its table, if only for a moment."""
STATEMENT_TIMEOUT = 10.0
"""Seconds for each of its queries."""
MOST_RELATIONS = 20_000
"""Relations that are known; of more, partitions and the system's own are left out first."""
MOST_INDEXED = 10_000
"""Tables whose indexes are read, the largest first: 0.1 ms an index, the dearest part of it."""
MOST_FUNCTIONS = 20_000

_DEFAULT_PATH = '"$user", public'
_INDEXED = (RelationKind.TABLE, RelationKind.PARTITIONED, RelationKind.MATERIALIZED)


def read_schema(connection: Connection, *, user: str = "") -> Schema:
    """The schema of the connection's database, as of one moment.

    Its search_path is the session's; with `user`, it is what that role's sessions start with
    here, as far as ALTER ROLE and ALTER DATABASE say. Needs no privilege; what pg_stats hides
    is 0. Raises QueryFailed or ServerLost.
    """
    ours = connection.info.transaction_status.name == "IDLE"
    with translated("Reading the schema"), connection.transaction(force_rollback=True):
        if ours:  # a caller's transaction keeps its own modes
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        return _read(connection, user)


def _read(connection: Connection, user: str) -> Schema:
    session = _rows(connection, "schema_session", user=user)
    connection.execute(_limits().encode())
    relations = _rows(connection, "schema_relations", most=MOST_RELATIONS)
    own = [row for row in relations if not row["system"]]
    columns = _rows(connection, "schema_columns", relations=_oids(own))
    indexed = [row for row in own if row["kind"] in _INDEXED and not row["locked"]]
    indexed.sort(key=lambda row: -row["rows"])
    tables = _oids(indexed[:MOST_INDEXED])
    indexes = _rows(connection, "index_definitions", tables=tables, name=None)
    views = [row["oid"] for row in own if row["kind"] == RelationKind.VIEW]
    named = _rows(connection, "schema_views", views=views)
    functions = _rows(connection, "schema_functions", most=MOST_FUNCTIONS)
    return Schema(
        _relations(relations, columns, indexes, views, named),
        _search_path(session[0], user),
        {(row["schema"], row["name"]): row["volatility"] for row in functions},
    )


def _rows(connection: Connection, query: str, /, **parameters: Any) -> list[Row]:
    version = connection.info.server_version // 10000
    return connection.execute(statement(query, version), parameters).fetchall()


def _limits() -> str:
    values = {
        "statement_timeout": f"{round(STATEMENT_TIMEOUT * 1000)}ms",
        "lock_timeout": f"{round(LOCK_TIMEOUT * 1000)}ms",
        # No object of a user's own may stand in for one of the system's (CVE-2018-1058).
        "search_path": "pg_catalog",
    }
    calls = (f"pg_catalog.set_config('{key}', '{value}', true)" for key, value in values.items())
    return f"SELECT {', '.join(calls)}"


def _oids(rows: Iterable[Row]) -> list[int]:
    return [row["oid"] for row in rows]


def _search_path(session: Row, user: str) -> tuple[str, ...]:
    if not user:
        return tuple(session["current"])
    # A setting of our own connection hides what the server's file has: then the default counts.
    general = _DEFAULT_PATH if session["source"] in ("client", "session") else session["setting"]
    text = next(iter(session["configured"] or ()), general)
    names = [user if name == "$user" else name for name in _names(text)]
    return tuple(name for name in dict.fromkeys(names) if name in session["schemas"])


def _names(text: str) -> list[str]:
    """The names of a list such as `"$user", public`."""
    return [unquote(token.text) for token in code(text) if token.lexeme is not Lexeme.PUNCT]


def _relations(
    rows: Sequence[Row],
    columns: Iterable[Row],
    indexes: Iterable[Row],
    examined: Sequence[int],
    named: Iterable[Row],
) -> dict[Relation, SchemaRelation]:
    columns_of: defaultdict[int, dict[str, SchemaColumn]] = defaultdict(dict)
    for row in columns:
        oid = row.pop("oid")
        columns_of[oid][row["name"]] = SchemaColumn(**row)
    inherited = {row["oid"] for row in rows if row["inherited"]}
    indexes_of: defaultdict[int, list[IndexDefinition]] = defaultdict(list)
    for row in indexes:
        index = index_of(row)
        if index.valid:
            indexes_of[index.table_oid].append(_definition(index, inherited))
    known = {row["oid"]: _relation(row, columns_of, indexes_of) for row in rows}
    known |= _partitioned(rows, known)
    known |= _views(known, examined, named)
    return {found.relation: found for found in known.values()}


def _relation(
    row: Row,
    columns: Mapping[int, dict[str, SchemaColumn]],
    indexes: Mapping[int, list[IndexDefinition]],
) -> SchemaRelation:
    return SchemaRelation(
        Relation(row["schema"], row["name"]),
        RelationKind(row["kind"]),
        columns.get(row["oid"], {}),
        row["rows"],
        row["size_bytes"],
        tuple(indexes.get(row["oid"], ())),
        row_security=row["row_security"],
    )


def _definition(index: Index, inherited: Collection[int]) -> IndexDefinition:
    """An index that is `unique` only if no two rows that a query sees share its keys: a deferrable
    one lets them until COMMIT, and it knows nothing of tables that inherit from its own."""
    if index.deferrable or index.table_oid in inherited:
        return replace(index.definition, unique=False)
    return index.definition


def _partitioned(
    rows: Iterable[Row], known: Mapping[int, SchemaRelation]
) -> dict[int, SchemaRelation]:
    """The partitioned tables, with what their leaves have together."""
    parents = {row["oid"]: row["parent"] for row in rows if row["parent"] is not None}
    totals: defaultdict[int, list[float]] = defaultdict(lambda: [0.0, 0])
    for oid, parent in parents.items():
        leaf = known[oid]
        above: int | None = None if leaf.kind is RelationKind.PARTITIONED else parent
        while above is not None:
            totals[above][0] += leaf.rows
            totals[above][1] += leaf.size_bytes
            above = parents.get(above)
    return {
        oid: replace(found, rows=totals[oid][0], size_bytes=round(totals[oid][1]))
        for oid, found in known.items()
        if found.kind is RelationKind.PARTITIONED
    }


def _views(
    known: Mapping[int, SchemaRelation], examined: Sequence[int], named: Iterable[Row]
) -> dict[int, SchemaRelation]:
    """The examined views, each with the relations and functions below it."""
    below: dict[int, set[int]] = {oid: set() for oid in examined}
    calls: defaultdict[int, set[tuple[str, str]]] = defaultdict(set)
    for row in named:
        if row["relation"] is not None:
            below[row["view"]].add(row["relation"])
        else:
            calls[row["view"]].add((row["schema"], row["function"]))
    return {oid: _view(known, _reached(oid, below), below, calls) for oid in examined}


def _view(
    known: Mapping[int, SchemaRelation],
    reached: Sequence[int],
    below: Mapping[int, set[int]],
    calls: Mapping[int, set[tuple[str, str]]],
) -> SchemaRelation:
    bases = {known[oid].relation for oid in reached if oid not in below and oid in known}
    functions = {call for oid in reached for call in calls.get(oid, ())}
    return replace(
        known[reached[0]], reads=tuple(sorted(bases)), functions=tuple(sorted(functions))
    )


def _reached(view: int, below: Mapping[int, set[int]]) -> list[int]:
    """The oids of a view, first, and of all that it stands on."""
    reached = {view: None}
    todo = [view]
    while todo:
        new = below.get(todo.pop(), set()) - reached.keys()
        reached |= dict.fromkeys(new)
        todo.extend(new)
    return list(reached)
