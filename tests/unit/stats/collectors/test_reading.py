"""When a reader does not ask, and what it says then."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, cast

from dbopt.pg.connect import AsyncConnection
from dbopt.pg.server import ServerInfo
from dbopt.sql.findings import Severity
from dbopt.stats.collectors.reading import Reader, facts, hidden, minor, whole
from dbopt.stats.view import Collected, View
from tests.unit.pg.test_server import INFO

VIEW = View("thing", key=("id",), labels=("name",), counters=("calls",), gauges=("size_bytes",))
NOBODY = cast(AsyncConnection, None)
"""Whoever is not asked needs no connection."""


def read(reader: Reader, server: ServerInfo) -> Collected:
    return asyncio.run(reader.collect(NOBODY, server, 10))


def test_an_older_server_is_not_asked() -> None:
    collected = read(Reader(VIEW, "none", since=16), replace(INFO, version_num=150004))
    (finding,) = collected.findings
    assert [] == collected.rows
    assert (False, Severity.INFO) == (finding.examined, finding.severity)
    assert finding.remedy == "Upgrade to PostgreSQL 16 or later."


def test_what_is_of_standbys_alone_is_nothing_on_a_primary() -> None:
    assert Collected() == read(Reader(VIEW, "none", standby=True), INFO)
    assert Collected() == read(Reader(VIEW, "none", standby=False), replace(INFO, in_recovery=True))


def test_a_row_gets_what_the_server_lacks() -> None:
    row: dict[str, Any] = {"id": 1, "name": "a", "calls": 0}
    assert {"id": 1, "name": "a", "calls": 0, "size_bytes": None} == whole(row, VIEW)


def test_hidden() -> None:
    look = hidden("thing", "Things are hidden.")
    assert () == look(INFO)
    (finding,) = look(replace(INFO, reads_all_stats=False))
    assert ("stats-thing", False) == (finding.rule, finding.examined)
    assert finding.remedy == 'GRANT pg_monitor TO "app";'


def test_minor_is_still_not_examined() -> None:
    finding = minor("thing", INFO, "It is off.", "Switch it on.")
    assert (False, Severity.INFO) == (finding.examined, finding.severity)


def test_facts() -> None:
    server = replace(INFO, track_io_timing=False, track_wal_io_timing=True)
    assert {
        "limit": 7, "timed": False, "wal_timed": True, "in_recovery": False, "reads_all": True,
    } == facts(server, 7)  # fmt: skip
