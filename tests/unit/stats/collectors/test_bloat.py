"""What the estimates of bloat say that they could not estimate."""

from __future__ import annotations

from dataclasses import replace

from dbopt.sql.findings import Severity
from dbopt.stats.collectors.bloat_tables import READER
from tests.unit.pg.test_server import INFO


def row(readable: bool) -> dict[str, object]:
    return {"known": False, "readable": readable}


def test_hidden_and_never_analysed_are_told_apart() -> None:
    hidden, poor = READER._unknown(INFO, [row(True), row(False), row(False)])
    assert hidden.message == "Of 2 relations of 1 MiB and more pg_stats is hidden."
    assert hidden.remedy == 'GRANT pg_read_all_data TO "app";'
    assert "Of 1 relations" in poor.message
    assert "pgstattuple" in poor.remedy
    assert (Severity.WARNING, Severity.INFO) == (hidden.severity, poor.severity)


def test_before_14_there_is_no_such_role() -> None:
    (hidden,) = READER._unknown(replace(INFO, version_num=130010), [row(False)])
    assert hidden.remedy.startswith("GRANT SELECT ON ALL TABLES")


def test_all_known_is_nothing() -> None:
    assert [] == list(READER._unknown(INFO, []))
