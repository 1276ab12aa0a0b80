"""What reading SQL costs: µs a statement, beside PostgreSQL's own parser as a yardstick.

    python benchmarks/sql_analysis.py [--seconds 2] [--json]

Workloads: `pgbench` (its five statements), `orm` (what Django, SQLAlchemy, ActiveRecord and
Hibernate write) and `tpch` (the 22 queries). Operations: `fingerprint` of a text never seen,
`cached` by FingerprintCache, `redact`, `classify`, `score` and `analyze`, which does all at once;
`pglast fingerprint` and `pglast parse` are libpg_query's, in C. A round runs every operation on
every statement in turn, so that what else loads the machine meets all; a number is the median over
the rounds of the mean of a workload's statements, a ratio that of the rounds' ratios to
`pglast fingerprint`.

pglast (pip install pglast) is under the GPL: dbopt never imports it, nor does any of its extras
ask for it; without it the numbers stand alone.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from dbopt.sql.analyze import analyze
from dbopt.sql.classify import classify
from dbopt.sql.complexity import complexity
from dbopt.sql.fingerprint import FingerprintCache, fingerprint
from dbopt.sql.redact import redact

HERE = Path(__file__).parent
YARDSTICK = "pglast fingerprint"
PGBENCH = (
    "UPDATE pgbench_accounts SET abalance = abalance + -2341 WHERE aid = 77012;",
    "SELECT abalance FROM pgbench_accounts WHERE aid = 77012;",
    "UPDATE pgbench_tellers SET tbalance = tbalance + -2341 WHERE tid = 7;",
    "UPDATE pgbench_branches SET bbalance = bbalance + -2341 WHERE bid = 1;",
    "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime)"
    " VALUES (7, 1, 77012, -2341, CURRENT_TIMESTAMP);",
)
Run = Callable[[str], object]
Rounds = list[float]
"""µs a statement, of each round."""
WARM = 2
"""Rounds that are not counted."""
SLICE = 0.01
"""Seconds of one operation in one round, at least: the first pass after another one is slow."""


def workloads() -> dict[str, list[str]]:
    """Name → its statements."""
    lines = (HERE / "orm.sql").read_text(encoding="utf-8").splitlines()
    files = sorted((HERE / "tpch" / "queries").glob("*.sql"))
    return {
        "pgbench": list(PGBENCH),
        "orm": [line for line in lines if not line.startswith("--")],
        "tpch": [file.read_text(encoding="utf-8") for file in files],
    }


def operations() -> dict[str, Run]:
    """Name → what is measured; pglast's only where it is installed."""
    found: dict[str, Run] = {
        "fingerprint": fingerprint,
        "cached": FingerprintCache(),
        "redact": redact,
        "classify": classify,
        "score": complexity,
        "analyze": analyze,
    }
    try:
        found[YARDSTICK] = importlib.import_module("pglast").fingerprint
        found["pglast parse"] = importlib.import_module("pglast").parse_sql
    except ImportError:
        pass
    return found


def measure(texts: list[str], runs: Mapping[str, Run], seconds: float) -> dict[str, Rounds]:
    """Rounds for about so many seconds, at least three."""
    found: dict[str, Rounds] = {name: [] for name in runs}
    started, number = time.perf_counter(), 0
    while number < WARM + 3 or time.perf_counter() - started < seconds:
        for name, run in runs.items():
            taken = _once(run, texts)
            if number >= WARM:
                found[name].append(taken)
        number += 1
    return found


def _once(run: Run, texts: list[str]) -> float:
    """µs a statement, of as many passes as fill the time."""
    started, passes = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - started) < SLICE or not passes:
        for text in texts:
            run(text)
        passes += 1
    return elapsed / passes / len(texts) * 1e6


def summary(texts: list[str], found: dict[str, Rounds]) -> dict[str, object]:
    """The medians of a workload, and the ratios to the yardstick where there is one."""
    yard = found.get(YARDSTICK)
    ratios = {} if yard is None else {name: _ratio(one, yard) for name, one in found.items()}
    return {
        "statements": len(texts),
        "characters": round(statistics.mean(map(len, texts))),
        "rounds": len(found["fingerprint"]),
        "us": {name: statistics.median(rounds) for name, rounds in found.items()},
        "ratio": ratios,
    }


def _ratio(one: Rounds, other: Rounds) -> float:
    return statistics.median(a / b for a, b in zip(one, other, strict=True))


def table(results: dict[str, dict[str, object]]) -> Table:
    """The results for reading."""
    drawn = Table(title="µs a statement (ratio to pglast's fingerprint)")
    drawn.add_column("operation")
    for name, found in results.items():
        drawn.add_column(
            f"{name}\n{found['statements']} of {found['characters']} characters", justify="right"
        )
    operations = next(iter(results.values()))["us"]
    assert isinstance(operations, dict)
    for operation in operations:
        cells = [_cell(found, operation) for found in results.values()]
        drawn.add_row(operation, *cells)
    return drawn


def _cell(found: dict[str, object], operation: str) -> str:
    taken, ratios = found["us"], found["ratio"]
    assert isinstance(taken, dict)
    assert isinstance(ratios, dict)
    shown = f"{taken[operation]:,.2f}"
    return f"{shown} ({ratios[operation]:.2f})" if ratios else shown


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="for each workload")
    parser.add_argument("--json", action="store_true", help="print JSON and nothing else")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Measures, prints."""
    options, runs = parsed(arguments), operations()
    gc.freeze()
    results = {
        name: summary(texts, measure(texts, runs, options.seconds))
        for name, texts in workloads().items()
    }
    if options.json:
        python = platform.python_version()
        print(json.dumps({"python": python, "yardstick": YARDSTICK in runs, "workloads": results}))
        return 0
    console = Console()
    console.print(table(results))
    console.print(f"Python {platform.python_version()}, {platform.machine()}")
    if YARDSTICK not in runs:
        console.print("No yardstick: pglast is not installed (pip install pglast; it is GPL).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
