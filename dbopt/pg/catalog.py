"""The catalog: tables, columns, indexes and foreign keys as one snapshot, one query each.

Sources: PostgreSQL's documentation, "System Catalogs" and "The Cumulative Statistics System".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from dbopt.pg.connect import Connection, Row
from dbopt.pg.refusal import translated
from dbopt.pg.sqlfile import statement
from dbopt.sql.indexdef import IndexDefinition, IndexKey, parameters_sql, qualified

LOCK_TIMEOUT = 5.0
"""Seconds that a reader of the catalog waits for somebody's exclusive lock."""
WHOLE = 600.0
"""Seconds of silence after which a server is given up, if at all, that is asked for all indexes: it
takes 10 s for 100,000 of them, and the first row comes with the last."""

SKIPPED_SCHEMAS = ("information_schema", "dbopt")
"""Not examined: the system's schemas, and dbopt's own."""

_DESCENDING, _NULLS_FIRST = 1, 2
"""Bits of pg_index.indoption (src/include/catalog/pg_index.h: INDOPTION_DESC, …)."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column; `type` as SQL writes it, without its length, and a domain's base type."""

    name: str
    type: str
    is_array: bool = False
    not_null: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table and its counters since `Catalog.stats_since`; `rows` is an estimate.

    `parent` is the oid of the partitioned table that it is a partition of. `foreign_partitions`
    counts its own partitions that are foreign tables or an extension's: no tables here.
    """

    oid: int
    schema: str
    name: str
    columns: tuple[Column, ...] = ()
    partitioned: bool = False
    parent: int | None = None
    rows: int = 0
    size_bytes: int = 0
    seq_scan: int = 0
    seq_tup_read: int = 0
    idx_scan: int = 0
    idx_tup_fetch: int = 0
    n_dead: int = 0
    foreign_partitions: int = 0

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"

    def column(self, name: str) -> Column | None:
        """The column of that name, if there is one."""
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True, slots=True)
class Index:
    """An index: its definition, and what the catalog and the statistics know of it.

    `constraint` is "p", "u" or "x" (primary key, unique, exclusion) or "". `deferrable`: it is
    checked when the transaction ends, if asked to. `fk_target`: a foreign key of some table points
    at it. `builder_pid` is the session that builds it now.
    `sql` is the server's own text of it.
    """

    oid: int
    table_oid: int
    definition: IndexDefinition
    size_bytes: int = 0
    scans: int = 0
    valid: bool = True
    ready: bool = True
    constraint: str = ""
    deferrable: bool = False
    replica_identity: bool = False
    fk_target: bool = False
    partitioned: bool = False
    parent: int | None = None
    extension: bool = False
    builder_pid: int | None = None
    sql: str = ""

    def __str__(self) -> str:
        return f"{self.definition.schema}.{self.definition.name}"

    @property
    def name(self) -> str:
        """The index's name, without its schema."""
        return self.definition.name

    @property
    def protected(self) -> bool:
        """Something else needs it, whether or not any query does: never advise its drop."""
        return bool(
            self.constraint
            or self.replica_identity
            or self.fk_target
            or self.extension
            or self.definition.unique
            or self.parent is not None
        )


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key: `columns` of the table with `table_oid` point at `referenced`."""

    name: str
    table_oid: int
    columns: tuple[str, ...]
    referenced_oid: int
    referenced: str


@dataclass(frozen=True, slots=True)
class Relation:
    """Something else that has a name in a schema, so that no index can have it.

    `kind` in words: "view", "sequence", "table", "index", …
    """

    schema: str
    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Locked:
    """A table that the session `pid` has locked for itself, or waits to (0: a prepared
    transaction). `needed`: it is of a partition tree that was asked for.
    """

    schema: str
    name: str
    oid: int
    pid: int
    needed: bool

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def holder(self) -> str:
        """The session in words."""
        return f"pid {self.pid}" if self.pid else "a prepared transaction"


@dataclass(frozen=True)
class Catalog:
    """One snapshot. `counted`: the server keeps the counters (track_counts). `sees_builds`:
    this role may see other sessions' index builds. `others`: what else has names. `locked`: what
    was left out since nobody could look at it."""

    tables: tuple[Table, ...]
    indexes: tuple[Index, ...]
    foreign_keys: tuple[ForeignKey, ...]
    version: int
    taken: datetime
    stats_since: datetime
    counted: bool = True
    sees_builds: bool = True
    others: tuple[Relation, ...] = ()
    locked: tuple[Locked, ...] = ()

    @cached_property
    def by_oid(self) -> dict[int, Table]:
        """The tables by their oid."""
        return {table.oid: table for table in self.tables}

    @cached_property
    def indexes_by_table(self) -> dict[int, tuple[Index, ...]]:
        """The indexes by their table's oid; a table without any is not in it."""
        groups: defaultdict[int, list[Index]] = defaultdict(list)
        for index in self.indexes:
            groups[index.table_oid].append(index)
        return {oid: tuple(indexes) for oid, indexes in groups.items()}

    @cached_property
    def indexes_by_name(self) -> dict[tuple[str, str], Index]:
        """The indexes by schema and name."""
        return {(index.definition.schema, index.name): index for index in self.indexes}

    @cached_property
    def index_parts(self) -> dict[int, tuple[Index, ...]]:
        """The partitions' indexes by the oid of the one that they are attached to."""
        groups: defaultdict[int, list[Index]] = defaultdict(list)
        for index in self.indexes:
            if index.parent is not None:
                groups[index.parent].append(index)
        return {oid: tuple(indexes) for oid, indexes in groups.items()}

    @cached_property
    def tables_by_name(self) -> dict[tuple[str, str], Table]:
        """The tables by schema and name."""
        return {(table.schema, table.name): table for table in self.tables}

    @cached_property
    def kinds(self) -> dict[tuple[str, str], str]:
        """What has a name, in words, by schema and name; indexes that were read are not in it."""
        others = {(other.schema, other.name): other.kind for other in self.others}
        return others | dict.fromkeys(self.tables_by_name, "table")

    @cached_property
    def foreign_keys_by_table(self) -> dict[int, tuple[ForeignKey, ...]]:
        """The foreign keys by their own table's oid; a table without any is not in it."""
        groups: defaultdict[int, list[ForeignKey]] = defaultdict(list)
        for key in self.foreign_keys:
            groups[key.table_oid].append(key)
        return {oid: tuple(keys) for oid, keys in groups.items()}

    @cached_property
    def partitions(self) -> dict[int, tuple[Table, ...]]:
        """The partitions by the oid of their partitioned table."""
        groups: defaultdict[int, list[Table]] = defaultdict(list)
        for table in self.tables:
            if table.parent is not None:
                groups[table.parent].append(table)
        return {oid: tuple(tables) for oid, tables in groups.items()}

    @property
    def stats_age(self) -> float:
        """Seconds over which the counters have counted."""
        return max(0.0, (self.taken - self.stats_since).total_seconds())

    def rows(self, table: Table) -> int:
        """Estimated rows; of a partitioned table those of its partitions together."""
        if not table.partitioned:
            return table.rows
        return sum(self.rows(child) for child in self.partitions.get(table.oid, ()))


def read(
    connection: Connection,
    only: Collection[int] | None = None,
    names: Collection[tuple[str, str]] = (),
    *,
    needed: Collection[tuple[str, str]] | None = None,
) -> Catalog:
    """The whole catalog of the connection's database, as of one moment.

    `only` are the oids of tables: these, all of their partition trees, and the foreign keys that
    point at them, for a look at one table of a big database. The tables whose indexes have one of
    `names` (schema, name) are read then too, and what else has such a name; of a whole catalog
    all `others` are. Of a whole one, a table that is locked by somebody for himself is left out
    unless its tree has one of the `needed` tables (schema, name): they are all needed if None.

    Raises QueryFailed, also where a table is locked for longer than LOCK_TIMEOUT, or ServerLost.
    """
    ours = connection.info.transaction_status.name == "IDLE"
    patience = connection.patience
    if patience is not None and only is None:
        patience = max(patience, WHOLE)
    with (
        translated("Reading the catalog"),
        connection.patient(patience),
        connection.transaction(),
    ):
        if ours:  # a caller's transaction keeps its own modes
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            # pg_get_indexdef locks the table; whoever comes to alter one must not wait behind us.
            connection.execute(f"SET LOCAL lock_timeout = {round(LOCK_TIMEOUT * 1000)}")
        return _read(connection, only, names, needed)


def _read(
    connection: Connection,
    only: Collection[int] | None,
    names: Collection[tuple[str, str]],
    needed: Collection[tuple[str, str]] | None,
) -> Catalog:
    whole = only is None
    named = _columns(names)
    if only is not None:
        only = [*only, *(row["oid"] for row in _rows(connection, "catalog_named_tables", **named))]
    skip = list(SKIPPED_SCHEMAS)
    found = () if needed is None else locked(connection, needed)
    left_out = tuple(one for one in found if not one.needed)
    without = [one.oid for one in left_out]
    rows = _rows(connection, "catalog_tables", skip=skip, only=only, locked=without)
    oids = [row["oid"] for row in rows]
    scope = {"schemas": None, "names": None} if whole else named
    others = _rows(connection, "catalog_relations", tables=oids, skip=skip, **scope)
    keys = _rows(connection, "catalog_foreign_keys", tables=oids, pointing=not whole)
    return Catalog(
        tables=_tables(rows, _rows(connection, "catalog_columns", tables=oids)),
        indexes=indexes(connection, oids),
        foreign_keys=_foreign_keys(keys),
        others=tuple(Relation(**row) for row in others),
        locked=left_out,
        version=connection.info.server_version // 10000,
        **_rows(connection, "catalog_facts")[0],
    )


def locked(connection: Connection, needed: Collection[tuple[str, str]]) -> list[Locked]:
    """The tables that others have locked for themselves. Raises what psycopg raises."""
    return [Locked(**row) for row in _rows(connection, "catalog_locked", **_columns(needed))]


def holders(connection: Connection, tables: Collection[tuple[str, str]]) -> str:
    """Who has locked these tables for himself, or one of their partitions, in words; "" if nobody.
    Raises what psycopg raises.
    """
    found = [one for one in locked(connection, tables) if one.needed]
    return "; ".join(f"{one} is locked by {one.holder}" for one in found)


def indexes(
    connection: Connection, tables: Iterable[int], name: str | None = None
) -> tuple[Index, ...]:
    """The indexes of the tables with these oids, or only that of the given name."""
    found = _rows(connection, "index_definitions", tables=list(tables), name=name)
    return tuple(index_of(row) for row in found)


def _rows(connection: Connection, query: str, /, **parameters: Any) -> list[Row]:
    version = connection.info.server_version // 10000
    return connection.execute(statement(query, version), parameters).fetchall()


def _columns(names: Collection[tuple[str, str]]) -> dict[str, list[str]]:
    return {"schemas": [schema for schema, _ in names], "names": [name for _, name in names]}


def _tables(rows: list[Row], columns: list[Row]) -> tuple[Table, ...]:
    groups: defaultdict[int, list[Column]] = defaultdict(list)
    for row in columns:
        groups[row.pop("table_oid")].append(Column(**row))
    return tuple(Table(**row, columns=tuple(groups[row["oid"]])) for row in rows)


def _foreign_keys(rows: list[Row]) -> tuple[ForeignKey, ...]:
    return tuple(ForeignKey(**{**row, "columns": tuple(row["columns"])}) for row in rows)


def index_of(row: Row) -> Index:
    """The index of one row of the query index_definitions."""
    definition = IndexDefinition(
        name=row.pop("name"),
        schema=row.pop("schema"),
        table=row.pop("table"),
        method=row.pop("method"),
        keys=tuple(_key(key) for key in row.pop("keys")),
        include=tuple(row.pop("include")),
        predicate=row.pop("predicate"),
        unique=row.pop("unique"),
        nulls_not_distinct=row.pop("nulls_not_distinct"),
        storage=_parameters(row.pop("storage")),
        tablespace=row.pop("tablespace"),
    )
    return Index(**{**row, "constraint": row["constraint"] or ""}, definition=definition)


def _key(key: dict[str, Any]) -> IndexKey:
    option = key["option"]
    return IndexKey(
        key["expression"],
        is_column=key["is_column"],
        opclass=_opclass(key),
        collation=qualified(key["collation_schema"], key["collation"]) if key["collation"] else "",
        descending=bool(option & _DESCENDING),
        nulls_first=bool(option & _NULLS_FIRST),
    )


def _opclass(key: dict[str, Any]) -> str:
    """The operator class if it is not the type's default, or if it has parameters."""
    parameters = _parameters(key["opclass_options"])
    if key["opclass_default"] and not parameters:
        return ""
    name = qualified(key["opclass_schema"], key["opclass"])
    return f"{name} {parameters_sql(parameters)}" if parameters else name


def _parameters(options: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """`name=value` texts, as reloptions and attoptions keep them, by name."""
    pairs = (option.partition("=") for option in options)
    return tuple(sorted((name, value) for name, _, value in pairs))
