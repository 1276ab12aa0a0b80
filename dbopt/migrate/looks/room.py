"""Room: disk, temporary files, memory, WAL, standbys."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from dbopt.migrate.looks.sight import Sight
from dbopt.sql.findings import Finding, Severity

_WITH_SORT, _WITH_WAL = 2, 3
"""Times the index's size: sorting spills about as much, and WAL is as much again."""
_SMALL = 64 << 20
"""Bytes: advice on memory is for what takes longer than a moment."""


def disk(sight: Sight) -> Iterator[Finding]:
    """Free space where the indexes go; seen only on the server's own machine."""
    needed: dict[str, int] = {}
    for step in sight.builds:
        path = _path(sight, step.definition.tablespace)
        needed[path] = needed.get(path, 0) + sight.size(step)
    for path, size in needed.items():
        free = _free(path) if sight.server.direct_host else None
        yield from _space(sight, path, size, free)


def temporary(sight: Sight) -> Iterator[Finding]:
    """temp_file_limit: a sort that spills more ends the build."""
    limit = sight.number("temp_file_limit", -1)
    largest = max((sight.size(step) for step in sight.builds), default=0)
    spills = largest > sight.number("maintenance_work_mem")
    if limit < 0 or not spills or largest < limit / 2:
        return
    yield Finding(
        "temp-file-limit",
        Severity.CRITICAL if largest > 2 * limit else Severity.WARNING,
        sight.server.database,
        f"Sorting takes about {_mb(largest)} of temporary files; temp_file_limit is {_mb(limit)}.",
        {"estimated_bytes": largest, "limit_bytes": int(limit)},
        "Raise temp_file_limit for dbopt's role, or maintenance_work_mem.",
    )


def memory(sight: Sight) -> Iterator[Finding]:
    """Memory and processes that a larger build would use."""
    largest = max((sight.size(step) for step in sight.builds), default=0)
    given = sight.number("maintenance_work_mem")
    if largest < max(_SMALL, 4 * given) or not given:
        return
    workers = sight.number("max_parallel_maintenance_workers")
    advice = "ALTER ROLE … SET maintenance_work_mem = '1GB'"
    more = "" if workers else ", and max_parallel_maintenance_workers = 2"
    yield Finding(
        "memory",
        Severity.INFO,
        sight.server.database,
        f"The largest index has about {_mb(largest)}, and maintenance_work_mem is {_mb(given)}: "
        "its sort goes to disk.",
        {"estimated_bytes": largest, "maintenance_work_mem": int(given), "workers": int(workers)},
        f"If the memory is there: {advice}{more}.",
    )


def replication(sight: Sight) -> Iterator[Finding]:
    """Standbys that are behind; the WAL of a build puts them further behind."""
    limit = sight.settings.max_replication_lag
    if any(standby.hidden for standby in sight.standbys) and sight.changing:
        yield Finding(
            "replication-lag",
            Severity.INFO,
            sight.server.database,
            "How far standbys are behind is not seen.",
            remedy=f"GRANT pg_monitor TO {sight.server.role};",
            examined=False,
        )
    for standby in sight.standbys:
        if limit and standby.is_behind(limit) and sight.changing:
            yield Finding(
                "replication-lag",
                Severity.WARNING,
                standby.name,
                f"The standby {standby}: a run would wait (migrate.max_replication_lag is "
                f"{limit:g} s).",
                {"seconds": round(standby.seconds, 1), "bytes": standby.bytes, "limit": limit},
                "Wait until it has caught up.",
            )


def slots(sight: Sight) -> Iterator[Finding]:
    """Slots that keep WAL: one with a limit may be lost, one that nobody reads fills the disk."""
    if sight.parameters.get("wal_level") == "minimal":
        return
    for slot in sight.slots:
        if not sight.total:
            return
        evidence = {"wal_bytes": sight.total, "safe_bytes": slot.safe_bytes, "active": slot.active}
        if slot.safe_bytes is not None and slot.safe_bytes < sight.total:
            yield Finding(
                "slot",
                Severity.WARNING,
                slot.name,
                f"The builds write about {_mb(sight.total)} of WAL, and the slot is lost after "
                f"{_mb(slot.safe_bytes)} that nobody has read (max_slot_wal_keep_size).",
                evidence,
                "Build them one at a time (--only), or raise max_slot_wal_keep_size.",
            )
        elif not slot.active and slot.safe_bytes is None:
            yield Finding(
                "slot",
                Severity.WARNING,
                slot.name,
                f"Nobody reads this slot: the builds' WAL, about {_mb(sight.total)}, stays.",
                evidence,
                "Start what reads it, or drop the slot if nothing will.",
            )


def _space(sight: Sight, path: str, size: int, free: int | None) -> Iterator[Finding]:
    evidence = {"estimated_bytes": size, "free_bytes": free, "path": path}
    if free is None:
        yield Finding(
            "disk-space",
            Severity.INFO,
            sight.server.database,
            f"Free space is not seen from here; the indexes take about {_mb(size)}.",
            evidence,
            f"On the server: df {path or 'its data directory'}; there should be "
            f"{_mb(_WITH_WAL * size)}.",
            examined=False,
        )
    elif free < _WITH_WAL * size:
        yield Finding(
            "disk-space",
            Severity.CRITICAL if free < size else Severity.WARNING,
            path,
            f"{_mb(free)} are free, and the indexes take about {_mb(size)}, as much to sort, and "
            "as much WAL.",
            evidence,
            "Free some space, or declare another TABLESPACE.",
        )


def _path(sight: Sight, tablespace: str) -> str:
    """The directory that an index lies in; "" where it is hidden."""
    default = str(sight.parameters.get("default_tablespace") or "")
    name = tablespace or default
    for space in sight.tablespaces:
        if (space.name == name if name else space.is_default) and space.path:
            return space.path
    return str(sight.parameters.get("data_directory") or "")


def _free(path: str) -> int | None:
    try:
        # Path: an empty one would be the current directory.
        return shutil.disk_usage(path).free if path and Path(path).is_dir() else None
    except OSError:
        return None


def _mb(size: float) -> str:
    if size >= 10 * (1 << 30):
        return f"{size / (1 << 30):.0f} GiB"
    return f"{size / (1 << 20):.0f} MiB" if size >= (1 << 20) else f"{size / 1024:.0f} KiB"
