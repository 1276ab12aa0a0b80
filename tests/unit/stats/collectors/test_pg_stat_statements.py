"""From a text of pg_stat_statements to a fingerprint, dbopt's own statements left out."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from dbopt.pg.connect import AsyncConnection
from dbopt.pg.sqlfile import statement
from dbopt.sql.fingerprint import fingerprint
from dbopt.stats.collectors import pg_stat_statements
from dbopt.stats.collectors.pg_stat_statements import StatementsCollector, identify
from dbopt.stats.view import Collected
from tests.unit.pg.test_server import INFO


def test_a_statement_has_its_fingerprint_and_a_redacted_text() -> None:
    found = identify("SELECT *\nFROM a WHERE x = 'secret' AND y = $1")
    assert found == (
        fingerprint("select * from a where x = 'other' and y = 3"),
        "SELECT * FROM a WHERE x = $2 AND y = $1",
    )


@pytest.mark.parametrize(
    "text",
    [
        "SELECT /* dbopt */ 1",
        "INSERT INTO dbopt.snapshot VALUES ($1)",
        'COPY "dbopt"."history" ("at") FROM STDIN',
        "EXPLAIN (FORMAT JSON) EXECUTE dbopt_explain (NULL)",
        "CREATE SCHEMA IF NOT EXISTS dbopt",
        statement("store_expire_rest").replace("%(before)s", "$1"),
    ],
)
def test_our_own_are_none(text: str) -> None:
    assert identify(text) is None


@pytest.mark.parametrize(
    "text",
    ["SELECT * FROM dbopts.a", "SELECT 'about dbopt'", "SELECT /* dbopt-like */ 1", "BEGIN"],
)
def test_others_are_not_taken_for_ours(text: str) -> None:
    assert identify(text) is not None


class Server:
    """Statements by queryid, None where the text is lost, and which texts were asked for."""

    def __init__(self, texts: dict[int, str | None]) -> None:
        self.texts = texts
        self.asked: list[list[int]] = []

    async def fetch(self, _: Any, name: str, params: Any = None, **__: Any) -> list[dict[str, Any]]:
        if name == "collect_statements":
            return [{"queryid": number, "userid": 10, "toplevel": 1} for number in self.texts]
        if name == "collect_statements_info":
            return [{"dealloc": 0, "stats_reset": None}]
        self.asked.append(params["queryids"])
        found = ((number, self.texts.get(number)) for number in params["queryids"])
        return [
            {"queryid": number, "userid": 10, "toplevel": 1, "query": text}
            for number, text in found
            if text is not None
        ]


def look(collector: StatementsCollector) -> Collected:
    return asyncio.run(collector.collect(cast(AsyncConnection, None), INFO, 100))


def test_texts_are_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server({1: "SELECT a FROM t", 2: "SELECT /* dbopt */ 1", 3: None})
    monkeypatch.setattr(pg_stat_statements, "fetch", server.fetch)
    collector = StatementsCollector()
    for _ in range(2):
        collected = look(collector)
    assert [[1, 2, 3]] == server.asked
    assert [1] == [row["queryid"] for row in collected.rows]
    assert [2] == [row["queryid"] for row in collector.own]
    assert fingerprint("SELECT a FROM t") == collector.fingerprint_of(1)
    assert [None, None] == [collector.fingerprint_of(number) for number in (2, 3)]


def test_one_without_a_text_is_asked_for_again_when_it_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = Server({3: None})
    monkeypatch.setattr(pg_stat_statements, "fetch", server.fetch)
    collector = StatementsCollector()
    look(collector)
    server.texts = {}
    look(collector)
    server.texts = {3: "SELECT a FROM t"}
    assert [3] == [row["queryid"] for row in look(collector).rows]
    assert [[3], [3]] == server.asked
