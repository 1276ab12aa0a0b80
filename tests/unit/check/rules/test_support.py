from __future__ import annotations

import pytest

from dbopt.check.rules.support import (
    alter_system,
    analyze_threshold,
    clients,
    duration,
    graded,
    identifier,
    literal,
    several,
    size,
    vacuum_threshold,
)
from dbopt.sql.findings import Severity
from tests.unit.check.builders import health, server, session, table


def test_grades() -> None:
    assert [None, None, Severity.WARNING, Severity.WARNING, Severity.CRITICAL] == [
        graded(value, 2, 4) for value in (None, 1.9, 2, 3.9, 4)
    ]
    assert graded(5, 10, 4) is Severity.CRITICAL  # critical alone, below warning


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2.0 h"), (200_000, "2.3 days")],
)
def test_durations(seconds: float, words: str) -> None:
    assert words == duration(seconds)


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 bytes"), (1536, "1.5 KiB"), (1 << 30, "1.0 GiB"), (5 << 50, "5120.0 TiB")],
)
def test_sizes(count: int, words: str) -> None:
    assert words == size(count)


def test_numbers() -> None:
    assert ["0 tables", "1 table", "12,000 tables"] == [several(n, "table") for n in (0, 1, 12_000)]


def test_sql_constants_and_names() -> None:
    assert ["'a'", "'it''s'", "E'a\\\\b'''"] == [literal(t) for t in ("a", "it's", "a\\b'")]
    assert ["a", '"A b"', '"a""b"'] == [identifier(n) for n in ("a", "A b", 'a"b')]


def test_setting_a_parameter() -> None:
    assert "ALTER SYSTEM SET a = 1; SELECT pg_reload_conf();" == alter_system(health(), "a", "1")
    assert "ALTER SYSTEM SET a = 1; -- and restart" == alter_system(
        health(), "a", "1", restart=True
    )
    managed = health(server=server(managed_by="rdsadmin"))
    assert "Set a to 1 in the provider's parameters." == alter_system(managed, "a", "1")


def test_hidden_sessions_count_by_their_user() -> None:
    background = session(1, kind="checkpointer", username="")
    hidden, hidden_background = session(2, kind=""), session(3, kind="", username="")
    assert [hidden] == clients([background, hidden, hidden_background])


def test_autovacuums_thresholds() -> None:
    own = table(options=("autovacuum_vacuum_threshold=5", "autovacuum_vacuum_scale_factor=0"))
    assert [10_050, 5, 50, 100_000_000] == [
        vacuum_threshold(health(), t)
        for t in (table(), own, table(rows=-1), table(rows=9_000_000_000))
    ]
    assert 5050 == analyze_threshold(health(), table())
