"""What every view's declaration keeps to, and that its SQL gives just what it declares."""

from __future__ import annotations

import re

import pytest
import sqlglot
from sqlglot import exp

from dbopt.pg.sqlfile import statements
from dbopt.stats.collectors import VIEWS, collectors
from dbopt.stats.view import View

EXTRA = frozenset({"stats_reset", "stats_since", "churn", "filenode", "known", "readable"})
"""Columns of a query that its collector takes for itself."""
MADE = {"statements": {"fingerprint"}}
"""Columns that a collector makes."""
UNITS = re.compile(r"(time|lag|delay|size|lsn|share|ratio|percent)$")


def outputs(query: str) -> set[str]:
    """What all the entries of that name give, whatever the version."""
    found = set[str]()
    for entry in statements():
        if entry.name == query:
            text = re.sub(r"%\(\w+\)s", "NULL", entry.sql.replace("{schema}.", ""))
            tree = sqlglot.parse_one(text.replace("%%", "%"), dialect="postgres")
            assert isinstance(tree, exp.Select)
            found |= {e.alias_or_name for e in tree.expressions}
    return found


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_its_sql_gives_its_columns(view: View) -> None:
    given = outputs(f"collect_{view.name}") - EXTRA
    assert set(view.columns) == given | MADE.get(view.name, set())


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_names_tell_their_units(view: View) -> None:
    assert len(set(view.columns)) == len(view.columns)
    for name in view.counters + view.gauges:
        assert not UNITS.search(name), name


def test_each_view_has_its_collector() -> None:
    assert list(VIEWS) == [collector.view for collector in collectors()]
    assert len({view.name for view in VIEWS}) == len(VIEWS)


def test_what_remembers_is_not_shared() -> None:
    pairs = zip(collectors(), collectors(), strict=True)
    assert {"statements", "table_storage", "index_storage"} == {
        a.view.name for a, b in pairs if a is not b
    }


def test_slow_views_are_looked_at_seldom() -> None:
    assert {
        "database_storage": 300, "table_storage": 300, "index_storage": 300, "sequences": 300,
        "wal_directory": 300, "settings": 300, "table_bloat": 3600, "index_bloat": 3600,
    } == {view.name: view.every for view in VIEWS if view.every}  # fmt: skip


def test_every_query_of_a_collector_is_marked_as_ours() -> None:
    """So that it is left out of the statements, and found by the benchmark of costs."""
    for entry in statements():
        if entry.name.startswith("collect_"):
            assert "SELECT /* dbopt */" in entry.sql, entry.name
