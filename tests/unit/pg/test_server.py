"""ServerInfo's derived facts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dbopt.pg.server import ServerInfo

NOW = datetime(2026, 3, 1, tzinfo=UTC)
INFO = ServerInfo(
    version_num=180006,
    in_recovery=False,
    database="shop",
    address="10.0.0.5:5432",
    now=NOW,
    started_at=NOW,
    role="app",
    is_monitor=True,
    reads_all_stats=True,
    track_io_timing=True,
    track_counts=True,
    statements_loaded=True,
    statements_version="1.12",
    statements_schema="public",
    stats_reset=None,
)


def test_versions() -> None:
    assert (INFO.major, INFO.version) == (18, "18.6")


@pytest.mark.parametrize(
    ("version", "loaded", "expected"),
    [("1.12", True, 112), ("1.8", True, 108), ("1.8", False, 0), ("", True, 0), ("2", True, 200)],
)
def test_the_extensions_version(version: str, loaded: bool, expected: int) -> None:
    server = replace(INFO, statements_version=version, statements_loaded=loaded)
    assert expected == server.statements


def test_a_role_is_quoted() -> None:
    assert replace(INFO, role='a "b"').quoted_role == '"a ""b"""'
