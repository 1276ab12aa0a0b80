"""Does the complexity score tell what a statement costs? Spearman's rho of score and time.

    python benchmarks/complexity.py                  (about five minutes)
    python benchmarks/complexity.py --scale 0.1 --repeat 1 [--json] [--check]

Loads TPC-H and the demonstration's data into an embedded PostgreSQL, runs every statement, and
compares its execution time (the median of EXPLAIN ANALYZE's) with three scores: of the text alone;
with the sizes and indexes of the catalog; and with the planner's cost as well. The planner's cost
by itself stands beside them as a yardstick.

`tpch` are the 22 queries, `demo` the application's statements (with no index but its keys, as it
begins), `both` these together: the targets are for them. `more` are statements of other shapes
over TPC-H's data that no weight was chosen by: look-ups, pages, reports, writes. "left out" is how
far rho goes when any one statement is left out. TPC-H's data come from `tpchgen-cli` (pip install
tpchgen-cli); without it, --only demo.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import count
from random import Random
from typing import Any

import psycopg
from psycopg import errors

from benchmarks.spearman import left_out, spearman
from benchmarks.tpch.load import load as load_tpch
from benchmarks.tpch.load import statements
from dbopt.demo.cluster import EmbeddedCluster
from dbopt.demo.dataset import load as load_demo
from dbopt.demo.operations import OPERATIONS, Draw, Operation
from dbopt.demo.population import Population
from dbopt.errors import DboptError
from dbopt.pg.connect import Connection, connect
from dbopt.pg.explain import explain_sync
from dbopt.pg.schema import read_schema
from dbopt.sql.complexity import complexity
from dbopt.sql.schema import Schema

SETS = ("tpch", "demo", "more")
GROUPS = {"tpch": ("tpch",), "demo": ("demo",), "both": ("tpch", "demo"), "more": ("more",)}
GROUPS["all"] = SETS
TARGETS = {"text": 0.6, "catalog": 0.8}
"""Least rho over `both`, by score."""

ENOUGH = 10_000.0
"""Milliseconds after which a statement is not run again: so long a time is steady by itself."""

MEASURES = {
    "text": "score of the text alone",
    "sizes": "score with the catalog's sizes",
    "catalog": "score with sizes and planner's cost",
    "cost": "planner's cost by itself",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One statement: its scores, the planner's cost, its median time in milliseconds."""

    set: str
    name: str
    text: int
    grade: str
    sizes: int
    catalog: int
    catalog_grade: str
    cost: float
    ms: float


@dataclass(frozen=True, slots=True)
class Bench:
    """How to measure: `timeout` is seconds, and what takes longer counts as that."""

    connection: Connection
    schema: Schema
    repeat: int
    timeout: float

    def row(self, kind: str, name: str, sql: str, run: Callable[[], bytes]) -> Row:
        """Measure and score one statement; `run` gives its text with fresh parameters."""
        cost = explain_sync(self.connection, sql).total_cost
        text = complexity(sql)
        catalog = complexity(sql, schema=self.schema, cost=cost)
        return Row(
            kind,
            name,
            text.score,
            text.grade,
            complexity(sql, schema=self.schema).score,
            catalog.score,
            catalog.grade,
            cost,
            self._median(run),
        )

    def _median(self, run: Callable[[], bytes]) -> float:
        times: list[float] = []
        for _ in range(self.repeat):
            times.append(self._time(run()))
            if sum(times) >= ENOUGH:
                break
        return statistics.median(times)

    def _time(self, sql: bytes) -> float:
        """Milliseconds of one execution, which is rolled back."""
        try:
            with self.connection.transaction(force_rollback=True):
                limit = f"SET LOCAL statement_timeout = {round(self.timeout * 1000)}"
                self.connection.execute(limit.encode())
                explained = b"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) " + sql
                row = self.connection.execute(explained).fetchone()
        except errors.QueryCanceled:
            return self.timeout * 1000
        return float(row["QUERY PLAN"][0]["Execution Time"]) if row else 0.0


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--scale", type=float, default=1.0, help="of TPC-H's data and the demonstration's (1)")
    add("--repeat", type=int, default=3, help="executions of each statement (3)")
    add("--timeout", type=float, default=30.0, help="seconds; what takes longer counts as it (30)")
    add("--only", default=",".join(SETS), help=f"sets of statements ({','.join(SETS)})")
    add("--json", action="store_true", help="print JSON")
    add("--check", action="store_true", help="exit with 1 if a target is missed")
    return parser.parse_args(arguments)


def measured(options: argparse.Namespace) -> Iterator[Row]:
    """All rows, as they are measured."""
    sets = options.only.split(",")
    with EmbeddedCluster(settings={"autovacuum": "off"}) as cluster:
        for database in ("tpch", "demo"):
            with connect(cluster.dsn()) as connection:
                connection.execute(f"CREATE DATABASE {database}".encode())
        if {"tpch", "more"} & set(sets):
            with connect(cluster.dsn("tpch")) as connection:
                load_tpch(connection, options.scale, lambda what: say(f"loading {what}"))
                yield from of_files(connection, options, sets)
        if "demo" in sets:
            with connect(cluster.dsn("demo")) as connection:
                load_demo(connection, options.scale)
                connection.execute("VACUUM ANALYZE")
                yield from of_demo(connection, options)


def of_files(connection: Connection, options: argparse.Namespace, sets: list[str]) -> Iterator[Row]:
    """The rows of TPC-H's queries and of the others over its data."""
    bench = Bench(connection, read_schema(connection), options.repeat, options.timeout)
    for kind, directory in (("tpch", "queries"), ("more", "more")):
        # Writes last: what they leave behind must not slow the reads.
        texts = sorted(statements(directory).items(), key=lambda item: is_write(item[1]))
        for name, sql in texts if kind in sets else ():
            say(f"{kind} {name}")
            yield bench.row(kind, name, sql, sql.encode)


def is_write(sql: str) -> bool:
    """Whether a statement of ours writes."""
    return sql.split(None, 1)[0].upper() in {"INSERT", "UPDATE", "DELETE", "MERGE"}


def of_demo(connection: Connection, options: argparse.Namespace) -> Iterator[Row]:
    """The rows of the application's operations, each time with other parameters."""
    bench = Bench(connection, read_schema(connection), options.repeat, options.timeout)
    draw = Draw(Random(1), Population.scaled(options.scale))  # noqa: S311 - parameters, not secrets
    for operation in OPERATIONS:
        say(f"demo {operation.name}")
        yield bench.row(
            "demo", operation.name, numbered(operation.sql), bound(connection, operation, draw)
        )


def numbered(sql: str) -> str:
    """psycopg's `%s` as the server sees them: $1, $2, ..."""
    numbers = count(1)
    return re.sub("%s", lambda _: f"${next(numbers)}", sql)


def bound(connection: Connection, operation: Operation, draw: Draw) -> Callable[[], bytes]:
    """Gives the statement with parameters in it, new ones each time."""
    cursor = psycopg.ClientCursor(connection)
    return lambda: cursor.mogrify(operation.sql, operation.make_params(draw)).encode()


def rhos(rows: list[Row]) -> dict[str, dict[str, dict[str, float]]]:
    """Spearman's rho of each measure against time, in each group that has statements."""
    result: dict[str, dict[str, dict[str, float]]] = {}
    for measure in MEASURES:
        for group, sets in GROUPS.items():
            chosen = [row for row in rows if row.set in sets]
            if len(chosen) > 2:
                values = [float(getattr(row, measure)) for row in chosen]
                times = [row.ms for row in chosen]
                least, most = left_out(values, times)
                result.setdefault(measure, {})[group] = {
                    "rho": spearman(values, times), "least": least, "most": most,
                    "statements": len(chosen),
                }  # fmt: skip
    return result


def missed(found: dict[str, dict[str, dict[str, float]]]) -> list[str]:
    """The measures that miss their target over `both`."""
    groups = {measure: found.get(measure, {}).get("both") for measure in TARGETS}
    return [m for m, both in groups.items() if both is not None and both["rho"] < TARGETS[m]]


def shown(rows: list[Row]) -> str:
    """The table, and rho below it."""
    lines = [
        f"{'':5}{'statement':26}{'text':>6} {'':9}{'sizes':>6}{'catalog':>9} {'':9}"
        f"{'cost':>14}{'ms':>12}"
    ]
    for row in sorted(rows, key=lambda row: (SETS.index(row.set), row.ms)):
        lines.append(
            f"{row.set:5}{row.name:26}{row.text:>6} {row.grade:9}{row.sizes:>6}{row.catalog:>9} "
            f"{row.catalog_grade:9}{row.cost:>14.0f}{row.ms:>12.2f}"
        )
    for measure, groups in rhos(rows).items():
        lines += ["", f"Spearman's rho of time and {MEASURES[measure]}"]
        for group, values in groups.items():
            target = TARGETS.get(measure) if group == "both" else None
            lines.append(
                f"  {group:6}{values['rho']:6.2f}   left out: {values['least']:.2f} to "
                f"{values['most']:.2f}   {values['statements']:.0f} statements"
                + (f"   target {target}" if target else "")
            )
    return "\n".join(lines)


def as_json(options: argparse.Namespace, rows: list[Row]) -> dict[str, Any]:
    """All that was found."""
    found = rhos(rows)
    return {
        "scale": options.scale,
        "repeat": options.repeat,
        "rho": found,
        "missed": missed(found),
        "statements": [asdict(row) for row in rows],
    }


def say(words: str) -> None:
    """Tell a person who waits where it is."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{words}", end="", file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Run it; 0, 1 where a target is missed and --check was given, or the error's exit code."""
    options = parsed(arguments)
    try:
        rows = list(measured(options))
    except DboptError as error:
        print(f"{error} {error.hint or ''}".strip(), file=sys.stderr)
        return error.exit_code
    say("")
    print(json.dumps(as_json(options, rows), indent=1) if options.json else shown(rows))
    return 1 if options.check and missed(rhos(rows)) else 0


if __name__ == "__main__":
    raise SystemExit(main())
