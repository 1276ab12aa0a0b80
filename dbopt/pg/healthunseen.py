"""Unseen: what of a Health our role, this server or this moment did not show, and what would."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dbopt.pg.health import Health


@dataclass(frozen=True, slots=True)
class Unseen:
    """Why a part is missing, and the GRANT or setting that would show it.

    `partly`: some of it is there, so that what was found holds, but what was not may be hidden.
    """

    reason: str
    remedy: str
    partly: bool = False


STATISTICS = Unseen(
    "pg_stat_statements 1.9 or later is not in this database.",
    "CREATE EXTENSION pg_stat_statements; or ALTER EXTENSION pg_stat_statements UPDATE;",
)
_STANDBY = Unseen(
    "A standby does not count what its primary does to tables.",
    "Check the primary too.",
)
_UNCOUNTED = Unseen("Changes of tables are not counted.", "ALTER SYSTEM SET track_counts = on;")

_WORDS = {"bloat": "tables", "keys": "keys", "sequences": "sequences"}


def hidden(health: Health) -> dict[str, Unseen]:
    """The parts that rows themselves show to be hidden, or that mean nothing here."""
    return dict(_hidden(health))


def _hidden(health: Health) -> Iterator[tuple[str, Unseen]]:
    server = health.server
    if not (server.is_superuser or server.reads_all_stats):
        monitor = f"GRANT pg_monitor TO {server.quoted_role};"
        reason = "Other roles' sessions are hidden from this role."
        for name in ("sessions", "replicas"):
            if name not in health.unseen:
                yield name, Unseen(reason, monitor, partly=True)
    if "passwords" in health.unseen:
        yield "passwords", _passwords(server.managed_by)
    if server.in_recovery:
        yield "counters", _STANDBY
    elif health.off("track_counts"):
        yield "counters", _UNCOUNTED
    for name, count in _unreadable(health).items():
        if count:
            yield name, _not_all(name, count, health)


def _not_all(name: str, count: int, health: Health) -> Unseen:
    role = health.server.quoted_role
    every = "pg_read_all_data" if health.server.major >= 14 else "SELECT ON ALL TABLES IN SCHEMA …"
    return Unseen(
        f"{count} of {len(getattr(health, name))} {_WORDS[name]} cannot be read by this role, or "
        "are locked now.",
        f"GRANT {every} TO {role};",
        partly=True,
    )


def _passwords(managed_by: str) -> Unseen:
    if managed_by:
        return Unseen(
            "The provider of this server lets nobody read how passwords are stored.",
            "Set password_encryption to scram-sha-256, and give roles new passwords.",
        )
    return Unseen(
        "Only a superuser may read how passwords are stored.",
        "Run `dbopt check --only md5-passwords` as a superuser.",
    )


def _unreadable(health: Health) -> dict[str, int]:
    return {
        "bloat": sum(not table.readable for table in health.bloat),
        "keys": sum(not key.readable for key in health.keys),
        "sequences": sum(s.locked or not s.readable for s in health.sequences),
    }
