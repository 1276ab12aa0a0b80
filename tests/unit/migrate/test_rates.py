from __future__ import annotations

from datetime import UTC, datetime

from dbopt.migrate.rates import USUAL, Rates, _builds, of_builds, work
from dbopt.pg.catalog import Catalog, Table
from dbopt.store.indexruns import IndexStep

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MB = 1e6


def _step(**other: object) -> IndexStep:
    given = {
        "number": 1,
        "action": "create",
        "schema": "public",
        "table": "t",
        "index": "i",
        "definition": "",
        "sql": "CREATE INDEX CONCURRENTLY i ON public.t USING btree (a)",
        "began": NOW,
        "duration_ms": 2000.0,
        "outcome": "done",
        "size_bytes": 10,
    }
    return IndexStep(**given | other)  # type: ignore[arg-type]


def test_the_slowest_and_the_fastest_of_former_builds() -> None:
    builds = [(100 * MB, 1.0), (100 * MB, 10.0), (200 * MB, 1.0), (1 * MB, 100.0)]

    assert Rates(10 * MB, 200 * MB) == of_builds(builds)


def test_too_few_builds_say_nothing() -> None:
    assert USUAL == of_builds([(100 * MB, 1.0), (100 * MB, 10.0), (100 * MB, 0.0)])
    assert USUAL == of_builds([])


def test_only_builds_that_ended_well_count() -> None:
    tables = (Table(1, "public", "t", size_bytes=100),)
    here = Catalog(tables, (), (), 18, NOW, NOW)
    steps = [
        _step(),
        _step(sql="CREATE UNIQUE INDEX CONCURRENTLY i ON public.t USING btree (a)"),
        _step(outcome="failed"),
        _step(sql="DROP INDEX CONCURRENTLY public.i"),
        _step(sql="CREATE INDEX i ON ONLY public.t USING btree (a)"),
        _step(table="gone"),
        _step(size_bytes=None),
        _step(duration_ms=None),
    ]

    assert [(work(100, 10), 2.0)] * 2 == list(_builds(steps, here))
