"""pg_settings: the settings that are not the default, so that a change is seen.

Of a setting that may hold a secret, or whose meaning nobody but its extension knows, there is the
name alone.
"""

from __future__ import annotations

from dbopt.pg.connect import AsyncConnection
from dbopt.pg.server import ServerInfo
from dbopt.sql.findings import Finding
from dbopt.stats.collectors.reading import Reader
from dbopt.stats.view import Collected, View, not_examined

SECRET = frozenset(
    (
        "primary_conninfo",
        "ssl_passphrase_command",
        "archive_command",
        "restore_command",
        "archive_cleanup_command",
        "recovery_end_command",
    )
)
"""Connection strings, and commands, in which people write passwords."""
PLAIN_EXTENSIONS = ("auto_explain.", "pg_stat_statements.", "pg_prewarm.", "plpgsql.")
"""Of others (app.jwt_secret, an extension's API key) the value may be a secret."""

VIEW = View(
    name="settings",
    key=("name",),
    labels=("setting", "unit", "source"),
    gauges=("pending_restart",),
    of_server=True,
    every=300.0,
)


def is_secret(name: str) -> bool:
    """Whether a setting's value is not to be shown."""
    return name in SECRET or ("." in name and not name.startswith(PLAIN_EXTENSIONS))


def _gaps(server: ServerInfo) -> tuple[Finding, ...]:
    if server.reads_all_settings:
        return ()
    message = "Settings that only superusers may read are hidden."
    remedy = f"GRANT pg_monitor TO {server.quoted_role};"
    return (not_examined("settings", server, message, remedy),)


class SettingsReader(Reader):
    """One row a setting; a secret's value is ""."""

    async def collect(self, conn: AsyncConnection, server: ServerInfo, limit: int) -> Collected:
        """The settings by name."""
        found = await super().collect(conn, server, limit)
        for row in found.rows:
            if is_secret(row["name"]):
                row["setting"] = ""
        return found


READER = SettingsReader(VIEW, "collect_settings", gaps=_gaps)
