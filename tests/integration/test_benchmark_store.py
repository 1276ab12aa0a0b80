"""The benchmark of the store: it runs, and a snapshot is as small as it says."""

from __future__ import annotations

import asyncio

import pytest

from benchmarks import store
from dbopt.pg.pool import control_pool
from dbopt.settings import Stats
from tests.integration.store_support import create_store


def test_three_snapshots(pg_dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> store.Result:
        async with control_pool(create_store(pg_dsn), Stats()) as pool:
            return await store.day(pool, "worst", 3)

    result = asyncio.run(main())
    # The first one is a full base, and large: the target is for a day.
    assert 10 < result.tables["history"] < 400
    assert {"history", "entity", "statement"} <= result.tables.keys()
    assert ("worst", 3, sum(result.tables.values())) == (
        result.profile, result.minutes, result.mb_a_day,
    )  # fmt: skip
    store.show([result], store.Console())
    assert "MB a day" in capsys.readouterr().out


def test_options() -> None:
    assert (1440, ["typical", "worst"]) == (store.parsed([]).minutes, store.parsed([]).profiles)
    assert ["worst"] == store.parsed(["--profiles", "worst", "--check"]).profiles
