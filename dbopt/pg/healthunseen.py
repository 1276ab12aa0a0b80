"""Unseen: what of a Health our role, this server or this moment did not show, and what would."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbopt.sql.indexdef import quote_name

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

_KINDS = {
    "bloat": ("tables", "TABLES"),
    "keys": ("keys", "TABLES"),
    "sequences": ("sequences", "SEQUENCES"),
}
"""Parts that need SELECT: what is counted, and what is granted."""


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
    for name, (found, words) in _KINDS.items():
        denied = sorted({one.schema for one in getattr(health, name) if not one.readable})
        if denied:
            yield name, _denied(health, name, denied, found, words)
    locked = sum(one.locked for one in health.sequences)
    if locked and all(one.readable for one in health.sequences):
        reason = f"{locked} of {len(health.sequences)} sequences are locked just now."
        yield "sequences", Unseen(reason, "Ask again.", partly=True)


def _denied(health: Health, name: str, schemas: list[str], found: str, words: str) -> Unseen:
    """Not GRANT pg_read_all_data, which would show password hashes, too."""
    count = sum(not one.readable for one in getattr(health, name))
    places = ", ".join(map(quote_name, schemas))
    return Unseen(
        f"{count} of {len(getattr(health, name))} {found} cannot be read by this role.",
        f"GRANT SELECT ON ALL {words} IN SCHEMA {places} TO {health.server.quoted_role};",
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
