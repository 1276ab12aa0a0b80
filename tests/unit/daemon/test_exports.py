from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from dbopt.daemon.exports import Exports, _address
from dbopt.metrics import Metrics
from dbopt.settings import Database, Server, Settings, Stats
from dbopt.settings import Metrics as Exported
from dbopt.sql.analyze import analyze
from dbopt.trace.workers import Workers


def names(settings: Settings) -> set[str]:
    """What /metrics defines with these settings, beside the daemon's own."""
    metrics = Metrics("1")
    collecting = SimpleNamespace(latest={}, server=None)
    leader = SimpleNamespace(leading=True, answers=True)
    collection: Any = SimpleNamespace(collecting=collecting, leader=leader)
    recorder: Any = SimpleNamespace(lifetime=SimpleNamespace(by_database={}))
    exports = Exports(settings, metrics, analyze, recorder, Workers(lambda: 0), collection)
    exports.start()
    exports.observed([], [])
    metrics.render()
    return {one.name for one in metrics.definitions} - {
        one.name for one in Metrics("1").definitions
    }


def test_what_is_off_is_not_in_a_scrape() -> None:
    every = names(Settings())
    assert {"pg_up", "pgbouncer_up"} <= every
    off = Settings(metrics=Exported(pgbouncer=False), stats=Stats(enabled=False))
    assert set() == names(off)


@pytest.mark.parametrize(
    ("dsn", "own", "expected"),
    [
        ("postgresql://db.internal:6000/app", {}, ("db.internal", 6000)),
        ("host=one,two port=1,2 dbname=app", {}, ("one", 1)),
        ("host=one", {"app": Database(host="other", port="7000")}, ("other", 7000)),
    ],
)
def test_a_span_names_the_server_of_its_database(
    dsn: str, own: dict[str, Database], expected: tuple[str, int]
) -> None:
    assert expected == _address(Settings(server=Server(dsn=dsn), databases=own), "app")
