from __future__ import annotations

from dbopt.metricsettings import Metrics
from dbopt.settings import TABLE


def test_a_scrape_is_bounded_as_it_comes() -> None:
    assert Metrics(tables=300, indexes=300, statements=100, pgbouncer=True) == Metrics()
    assert "DBOPT_METRICS__STATEMENTS" == TABLE["metrics.statements"].env
