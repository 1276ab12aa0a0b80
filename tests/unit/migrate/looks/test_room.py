from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dbopt.migrate.looks import room
from dbopt.pg import look
from dbopt.settings import Migrate
from dbopt.sql.findings import Severity
from tests.unit.migrate.looks.sights import sight

MIB = 1 << 20


def _of(size: int, **parameters: float | str) -> Any:
    return sight(sizes={"public.i": size}, parameters=parameters)


@pytest.mark.parametrize(
    ("free", "severity"),
    [(301, None), (299, Severity.WARNING), (101, Severity.WARNING), (99, Severity.CRITICAL)],
)
def test_free_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, severity: Severity | None
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free * MIB))
    found = list(room.disk(_of(100 * MIB, data_directory=str(tmp_path))))

    assert ([] if severity is None else [severity]) == [one.severity for one in found]


@pytest.mark.parametrize(
    ("directory", "local"), [("", True), ("/no/such/directory", True), ("/", False)]
)
def test_space_that_is_not_seen(directory: str, local: bool) -> None:
    (found,) = room.disk(
        sight(server={"direct_host": local}, parameters={"data_directory": directory})
    )

    assert (False, Severity.INFO) == (found.examined, found.severity)
    assert "df " in found.remedy


def test_a_tablespace_has_its_own_directory(tmp_path: Path) -> None:
    spaces = (look.Tablespace(5, "fast", str(tmp_path), False, True),)
    (found,) = room.disk(
        sight(
            tablespaces=spaces,
            parameters={"default_tablespace": "fast"},
            server={"direct_host": False},
        )
    )

    assert str(tmp_path) == found.evidence["path"]


@pytest.mark.parametrize(
    ("limit", "severity"),
    [
        (-1, None),
        (300, None),
        (150, Severity.WARNING),
        (49, Severity.CRITICAL),
    ],
)
def test_temporary_files(limit: int, severity: Severity | None) -> None:
    bytes_ = float(limit * MIB) if limit > 0 else -1.0
    found = list(
        room.temporary(_of(100 * MIB, temp_file_limit=bytes_, maintenance_work_mem=MIB * 64.0))
    )

    assert ([] if severity is None else [severity]) == [one.severity for one in found]


def test_a_sort_in_memory_needs_no_files() -> None:
    assert [] == list(
        room.temporary(_of(60 * MIB, temp_file_limit=1.0, maintenance_work_mem=MIB * 64.0))
    )


def test_memory_is_advised_for_what_is_large() -> None:
    small, large = (_of(size * MIB, maintenance_work_mem=64.0 * MIB) for size in (100, 1000))
    (found,) = room.memory(large)

    assert [] == list(room.memory(small))
    assert Severity.INFO is found.severity
    assert "max_parallel_maintenance_workers = 2" in found.remedy


def test_standbys() -> None:
    behind = look.Standby("replica", False, 31.0, 5)
    hidden = look.Standby("other", True, 0.0, 0)
    found = list(room.replication(sight(standbys=(behind, hidden))))
    off = sight(standbys=(behind,), settings=Migrate(max_replication_lag=0))

    assert [(False, Severity.INFO), (True, Severity.WARNING)] == [
        (one.examined, one.severity) for one in found
    ]
    assert [] == list(room.replication(off))


@pytest.mark.parametrize(
    ("active", "safe", "warned"),
    [(True, None, False), (False, None, True), (True, 10, True), (True, 1 << 30, False)],
)
def test_slots(active: bool, safe: int | None, warned: bool) -> None:
    slot = look.Slot("replica", active, safe)

    assert warned == bool(list(room.slots(sight(slots=(slot,)))))
    assert [] == list(room.slots(sight(slots=(slot,), parameters={"wal_level": "minimal"})))
