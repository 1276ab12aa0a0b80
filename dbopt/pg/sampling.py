"""Samples of tables as temporary tables: some real rows, then rows that bring out differences.

Sources: PostgreSQL's documentation, "CREATE TABLE" (LIKE, TEMPORARY), "SELECT" (TABLESAMPLE).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from psycopg import errors, sql

from dbopt.pg.connect import Connection
from dbopt.pg.sqlfile import statement
from dbopt.sql.query import Relation
from dbopt.sql.samples import Column, Ready
from dbopt.sql.schema import RelationKind, SchemaColumn, SchemaRelation
from dbopt.sql.variants import Variant, constants, mentioned, variants

SAMPLE_ROWS = 500
"""Rows of each table. Three such tables without a join condition have 125 million combinations."""
SEED = 1
"""Of TABLESAMPLE: the same rows each time that the table is the same."""

_SCANNED = (RelationKind.TABLE, RelationKind.PARTITIONED, RelationKind.MATERIALIZED)
_LEAST_VARIED, _MOST_VARIED = 3, 25
"""Rows that each variant changes: enough that rows of two tables meet, where there are few."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample: what it is of, and its name."""

    source: SchemaRelation
    name: str

    @property
    def sql(self) -> sql.Identifier:
        """Its name as SQL."""
        return sql.Identifier("pg_temp", self.name)


Samples = Mapping[Relation, Sample]


def runs_others_functions(connection: Connection, sources: Iterable[SchemaRelation]) -> bool:
    """Whether samples of these would run functions of other roles with rights that those lack.

    Constraints, index expressions and views call functions, and whoever wrote one may run in it
    what our role may: with a superuser's rights, programs.
    """
    if not connection.execute(statement("explain_role")).fetchall()[0]["powerful"]:
        return False
    every = list(sources)
    if any(schema != "pg_catalog" for source in every for schema, _ in source.functions):
        return True
    names = [source.relation for source in every]
    found = connection.execute(
        statement("sample_functions"),
        {"schemas": [one.schema for one in names], "names": [one.name for one in names]},
    )
    return bool(found.fetchall())


def create(connection: Connection, sources: Iterable[SchemaRelation]) -> Samples:
    """Empty temporary tables with the constraints and unique indexes of these relations."""
    samples = {
        source.relation: Sample(source, f"dbopt_sample_{number}")
        for number, source in enumerate(sources, start=1)
    }
    for relation, sample in samples.items():
        connection.execute(
            sql.SQL(
                "CREATE TEMP TABLE {} (LIKE {} INCLUDING CONSTRAINTS INCLUDING INDEXES)"
            ).format(sql.Identifier(sample.name), _name(relation))
        )
    _drop_deferrable(connection, [sample.name for sample in samples.values()])
    return samples


def _drop_deferrable(connection: Connection, names: list[str]) -> None:
    """ON CONFLICT knows no deferrable constraints. No plan may rely on one either."""
    found = connection.execute(statement("sample_deferrable"), {"names": names}).fetchall()
    for row in found:
        connection.execute(
            sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(
                sql.Identifier("pg_temp", row["relation"]), sql.Identifier(row["constraint"])
            )
        )


def fill(connection: Connection, samples: Samples, links: Iterable[tuple[Column, Column]]) -> None:
    """Rows of the tables, the largest first: of the others those that it joins, and any."""
    pairs = {pair for one, two in links for pair in ((one, two), (two, one))}
    filled: set[Relation] = set()
    for sample in sorted(samples.values(), key=lambda s: -s.source.rows):
        here = sample.source.relation
        for own, other in sorted(pairs, key=str):
            if own.relation == here and other.relation in filled:
                _attempt(connection, _partners(sample, own, samples[other.relation], other))
        connection.execute(_any_rows(sample))
        filled.add(here)


def vary(connection: Connection, samples: Samples, statements: Sequence[Ready]) -> None:
    """Change up to half of the rows: see dbopt.sql.variants; some become equal to others.

    What a constraint forbids is left out: no row can be like that.
    """
    known = constants(statements)
    for sample in samples.values():
        planned = variants(statements, sample.source, known)
        budget = _count(connection, sample) // 2
        each = min(_MOST_VARIED, max(_LEAST_VARIED, budget // (len(planned) + 1)))
        budget -= _attempt(connection, _twins(sample, mentioned(statements, sample.source), each))
        for variant in planned:
            if budget > 0:
                budget -= _attempt(connection, _update(sample, variant, each))


def values(connection: Connection, samples: Samples, column: Column) -> list[str | None]:
    """Values of a column in its sample as text: its rows' in order, some apart; none if empty."""
    text = sql.SQL("SELECT {} AS value FROM {} AS s ORDER BY s.ctid LIMIT 100").format(
        _as_text(column), samples[column.relation].sql
    )
    found = [row["value"] for row in connection.execute(text).fetchall()]
    return found[:: max(1, len(found) // 4)]


def extremes(
    connection: Connection, samples: Samples, column: Column
) -> tuple[str | None, str | None]:
    """The least and the greatest value of a column in its sample, as text."""
    one = "(SELECT {1} FROM {2} AS s WHERE s.{0} IS NOT NULL ORDER BY s.{0} "
    text = sql.SQL("SELECT " + one + "LIMIT 1) AS low, " + one + "DESC LIMIT 1) AS high").format(
        sql.Identifier(column.name), _as_text(column), samples[column.relation].sql
    )
    row = connection.execute(text).fetchall()[0]
    return row["low"], row["high"]


def _as_text(column: Column) -> sql.Composed:
    """By the type's output function: a cast to text may be a function of anybody's."""
    return sql.SQL("CASE WHEN s.{0} IS NOT NULL THEN format('%s', s.{0}) END").format(
        sql.Identifier(column.name)
    )


def _name(relation: Relation) -> sql.Identifier:
    return sql.Identifier(relation.schema, relation.name)


def _attempt(connection: Connection, command: sql.Composed) -> int:
    """The rows that a command changed; 0 where the server refuses its values, or takes long."""
    refused = (errors.IntegrityError, errors.DataError, errors.QueryCanceled)
    try:
        with connection.transaction():
            return max(0, connection.execute(command).rowcount)
    except (*refused, errors.UndefinedFunction, errors.CannotCoerce, errors.DatatypeMismatch):
        return 0


def _partners(sample: Sample, own: Column, other: Sample, theirs: Column) -> sql.Composed:
    return sql.SQL(
        "INSERT INTO {0} SELECT * FROM {1} WHERE {2} IN (SELECT {3} FROM {4} LIMIT {5}) LIMIT {5}"
        " ON CONFLICT DO NOTHING"
    ).format(
        sample.sql,
        _name(sample.source.relation),
        sql.Identifier(own.name),
        sql.Identifier(theirs.name),
        other.sql,
        sql.Literal(SAMPLE_ROWS // 2),
    )


def _any_rows(sample: Sample) -> sql.Composed:
    """Random ones, where the table has more than the sample."""
    source = sample.source
    few: sql.Composable = sql.SQL("")
    if source.kind in _SCANNED and source.rows > 4 * SAMPLE_ROWS:
        percent = min(100.0, 200.0 * SAMPLE_ROWS / source.rows)
        few = sql.SQL("TABLESAMPLE SYSTEM ({}) REPEATABLE ({})").format(
            sql.Literal(percent), sql.Literal(SEED)
        )
    return sql.SQL("INSERT INTO {} SELECT * FROM {} {} LIMIT {} ON CONFLICT DO NOTHING").format(
        sample.sql, _name(source.relation), few, sql.Literal(SAMPLE_ROWS)
    )


def _count(connection: Connection, sample: Sample) -> int:
    text = sql.SQL("SELECT count(*) AS count FROM {}").format(sample.sql)
    return int(connection.execute(text).fetchall()[0]["count"])


def _update(sample: Sample, variant: Variant, most: int) -> sql.Composed:
    """The rows that were changed least lately get these values; one does of a unique column."""
    unique = _unique_columns(sample)
    rows = 1 if unique & variant.keys() else most
    sets = sql.SQL(", ").join(
        sql.SQL("{} = CAST({} AS {})").format(
            sql.Identifier(name),
            sql.Literal(value),
            # format_type's own words: PostgreSQL has quoted them.
            sql.SQL(sample.source.columns[name].type),
        )
        for name, value in variant.items()
    )
    return sql.SQL("UPDATE {0} SET {1} WHERE ctid = ANY (ARRAY({2}))").format(
        sample.sql, sets, _oldest(sample, rows)
    )


def _twins(sample: Sample, columns: Iterable[SchemaColumn], rows: int) -> sql.Composed:
    """Some rows become like another in the columns that matter, but for unique ones."""
    unique = _unique_columns(sample)
    names = [sql.Identifier(c.name) for c in columns if c.name not in unique]
    if not names:
        return sql.SQL("INSERT INTO {0} SELECT * FROM {0} LIMIT {1} ON CONFLICT DO NOTHING").format(
            sample.sql, sql.Literal(rows)
        )
    listed = sql.SQL(", ").join(names)
    return sql.SQL(
        # Like the next one: what it is joined with is in the samples, if anything is.
        "UPDATE {0} SET ({1}) = (SELECT {1} FROM {0} ORDER BY ctid OFFSET {3} LIMIT 1)"
        " WHERE ctid = ANY (ARRAY({2}))"
    ).format(sample.sql, listed, _oldest(sample, rows), sql.Literal(rows))


def _unique_columns(sample: Sample) -> set[str]:
    indexes = (index for index in sample.source.indexes if index.unique)
    return {key.expression for index in indexes for key in index.keys}


def _oldest(sample: Sample, rows: int) -> sql.Composed:
    return sql.SQL("SELECT ctid FROM {} ORDER BY ctid LIMIT {}").format(
        sample.sql, sql.Literal(rows)
    )
