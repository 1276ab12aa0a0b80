"""Which relations' files are looked at, and what is said of the rest."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from dbopt.pg.connect import AsyncConnection
from dbopt.stats.collectors import storage
from dbopt.stats.collectors.storage import MEASURED_AT_ONCE, StorageCollector
from dbopt.stats.view import Collected, View
from tests.unit.pg.test_server import INFO

VIEW = View("sizes", key=("relid",), gauges=("table_bytes",))
Rows = list[dict[str, Any]]


class Server:
    """Tables by oid: what the catalog says, the real size, and writes."""

    def __init__(self) -> None:
        self.tables: dict[int, tuple[int, int, int]] = {}
        self.asked: list[list[int]] = []
        self.locked: set[int] = set()
        self.filenode = 1
        self.rows_each = 0

    async def fetch(self, _: Any, name: str, params: Any, **__: Any) -> Rows:
        relids: list[int] = params["relids"]
        self.asked.append(relids)
        return [
            {"relid": relid, "table_bytes": self.tables[relid][1]}
            for relid in relids
            if relid not in self.locked
        ]

    def rows(self) -> Rows:
        return [
            {
                "relid": relid,
                "table_bytes": known,
                "churn": writes,
                "filenode": self.filenode,
                "reltuples": self.rows_each,
            }
            for relid, (known, _, writes) in self.tables.items()
        ]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    made = Server()
    monkeypatch.setattr(storage, "fetch", made.fetch)

    class Rows_:
        def __init__(self, *_: Any, **__: Any) -> None: ...

        async def collect(self, *_: Any) -> Collected:
            return Collected(made.rows())

    monkeypatch.setattr(storage, "Reader", Rows_)
    return made


def look(collector: StorageCollector) -> dict[int, int]:
    found = asyncio.run(collector.collect(cast(AsyncConnection, None), INFO, 10))
    return {row["relid"]: row["table_bytes"] for row in found.rows}


def collector() -> StorageCollector:
    return StorageCollector(VIEW, "rows", "sizes", ("table_bytes",))


def test_only_what_was_written_is_measured_again(server: Server) -> None:
    server.tables = {1: (8, 16, 5), 2: (8, 24, 0)}
    reader = collector()
    assert {1: 16, 2: 8} == look(reader)
    assert {1: 16, 2: 8} == look(reader)
    server.tables[2] = (8, 32, 1)
    server.tables[1] = (8, 99, 5)
    assert {1: 16, 2: 32} == look(reader)
    assert [[1], [2]] == server.asked


def test_the_most_written_come_first_and_the_rest_next_time(server: Server) -> None:
    count = MEASURED_AT_ONCE + 10
    server.tables = {relid: (0, 1, relid) for relid in range(1, count + 1)}
    reader = collector()
    assert MEASURED_AT_ONCE == sum(look(reader).values())
    assert count == server.asked[0][0]
    assert count == sum(look(reader).values())
    assert list(range(10, 0, -1)) == server.asked[1]


def test_one_that_is_locked_keeps_the_catalogs_word(server: Server) -> None:
    server.tables = {1: (8, 16, 5)}
    server.locked = {1}
    reader = collector()
    assert {1: 8} == look(reader)
    server.locked = set()
    assert {1: 16} == look(reader)


def test_what_is_gone_is_forgotten(server: Server) -> None:
    server.tables = {1: (8, 16, 5)}
    reader = collector()
    look(reader)
    server.tables = {}
    assert {} == look(reader)
    assert {} == reader._measured


def test_a_rewrite_is_measured_and_few_writes_are_not(server: Server) -> None:
    server.tables = {1: (8, 16, 5)}
    server.rows_each = 1000
    reader = collector()
    look(reader)
    server.tables[1] = (8, 24, 9)
    assert {1: 16} == look(reader)
    server.tables[1] = (8, 24, 10)
    assert {1: 24} == look(reader)
    server.tables[1], server.filenode = (8, 8, 10), 2
    assert {1: 8} == look(reader)
