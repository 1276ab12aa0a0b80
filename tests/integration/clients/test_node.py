"""The node clients `pg` and `postgres`; the scenarios are in tests/node."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.integration.clients.routes import Both, Route

HERE = Path(__file__).parents[2] / "node"
NODE = shutil.which("node") or shutil.which("nodejs")

if NODE is None:
    pytest.skip("missing: node (scripts/bootstrap.sh dev)", allow_module_level=True)
if not (HERE / "node_modules" / "postgres").is_dir():
    pytest.skip(
        "missing: tests/node/node_modules (scripts/bootstrap.sh dev)", allow_module_level=True
    )

BINARY = [["bytea", 17, "binary"], ["?column?", 23, "binary"]]
PG: dict[str, list[Any]] = {
    # the scenario, and the end of what it gives
    "statements": ["22P02", ["SELECT", 1, BINARY, [{"bytea": "\0\ufffd", "?column?": 7}]]],
    "named": [[{"x": 1, "y": "new", "z": "new"}]],
    "queued": [[{"n": 58, "d": -1}], "22012"],
    "transactions": ["ROLLBACK", [{"x": 1}, {"x": 2}]],
    "cursors": [],
    "copies": ["22P02", [{"count": "5000"}]],
    "noticesAndSettings": [[["NOTICE", "00000", "one"], ["WARNING", "01000", "two"]]],
    "notifications": [["here", "0"], ["here", "1"], ["here", "2"]],
    "pool": [],
}
POSTGRES: dict[str, list[Any]] = {
    "prepared": [[42]],
    "unprepared": [[42]],
    "untyped": [[42]],
    "pipelined": [78, 79],
    "transactions": [[1] * 16, 18],
    "cursors": [1, 2, 3, "after"],
    "copies": [5000, True],
    "settingsAndNotices": [{"found": "js 5MB Asia/Tokyo"}, [["NOTICE", "00000", "one"]]],
    "notifications": ["0", "1", "2"],
    "changedTable": [[{"x": 1, "y": "new", "z": "new"}]],
    "cancelled": ["57014", "after"],
}


def run(route: Route, script: str, scenario: str) -> Any:
    done = route.run(str(NODE), "--no-deprecation", str(HERE / script), scenario)
    assert (0, "") == (done.code, done.err), done.err
    return json.loads(done.out)


@pytest.mark.parametrize("scenario", PG)
def test_pg(both: Both, scenario: str) -> None:
    found = both(lambda route: run(route, "pg.mjs", scenario))
    ends(found, PG[scenario])


@pytest.mark.parametrize("scenario", POSTGRES)
def test_postgres(both: Both, scenario: str) -> None:
    found = both(lambda route: run(route, "postgres.mjs", scenario))
    ends(found, POSTGRES[scenario])


def ends(found: list[Any], expected: list[Any]) -> None:
    assert expected == found[len(found) - len(expected) :]
