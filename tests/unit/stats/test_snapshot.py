"""What a snapshot is made of, and that it fits the store's tables."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from dbopt.stats.oldcollectors import VIEWS, collectors
from dbopt.stats.snapshot import COLUMNS, assemble
from dbopt.stats.view import Collected, View, not_examined
from tests.integration.store_support import revision
from tests.unit.pg.test_server import INFO, NOW


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_the_first_revision_has_each_views_columns(view: View) -> None:
    (ddl,) = [s for s in revision()["STATEMENTS"] if f"TABLE dbopt.{view.table} (" in s]
    found = re.findall(
        r'^\s+"?([a-z_]+)"? (?:bigint|integer|oid|text|boolean|double|time)', ddl, re.M
    )
    assert sorted(["snapshot_id", *view.columns]) == sorted(found)
    assert COLUMNS[view.table] == view.columns


def test_the_revision_drops_what_it_makes() -> None:
    made = re.findall(r"CREATE TABLE dbopt\.(\w+)", " ".join(revision()["STATEMENTS"]))
    assert set(made) == set(revision()["TABLES"])
    assert (revision()["revision"], revision()["down_revision"]) == ("0001", None)


def test_each_view_has_its_collector() -> None:
    assert list(VIEWS) == [collector.view for collector in collectors()]


def test_assemble() -> None:
    finding = not_examined("activity", INFO, "Hidden.", "GRANT x;")
    reset = datetime(2026, 2, 1, tzinfo=UTC)
    seen = {
        "database": Collected([{"database": "shop"}], reset=reset),
        "statements": Collected([], truncated=True, reset=NOW, dealloc=3, texts={1: "SELECT $1"}),
        "activity": Collected(finding=finding),
    }
    snapshot = assemble(INFO, seen)
    header = snapshot.header
    assert (header.taken_at, header.server, header.database) == (NOW, "10.0.0.5:5432", "shop")
    assert (reset, NOW, 3) == (
        header.stats_reset,
        header.statements_reset,
        header.statements_dealloc,
    )
    assert frozenset({"statements"}) == header.truncated
    assert (finding,) == header.findings
    assert {"snapshot_database", "snapshot_statement", "snapshot_activity"} == snapshot.rows.keys()
    assert snapshot.texts == {1: "SELECT $1"}
