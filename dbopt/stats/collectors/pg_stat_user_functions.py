"""pg_stat_user_functions: calls and time of functions, while track_functions is on."""

from __future__ import annotations

from dbopt.pg.server import ServerInfo
from dbopt.sql.findings import Finding
from dbopt.stats.collectors.reading import Reader, minor
from dbopt.stats.view import View

VIEW = View(
    name="functions",
    key=("funcid",),
    labels=("schemaname", "funcname"),
    counters=("calls", "total_us", "self_us"),
)


def _gaps(server: ServerInfo) -> tuple[Finding, ...]:
    if server.track_functions != "none":
        return ()
    message = "track_functions is none: functions are not counted."
    remedy = "ALTER SYSTEM SET track_functions = 'pl'; SELECT pg_reload_conf();"
    return (minor("functions", server, message, remedy),)


READER = Reader(VIEW, "collect_functions", gaps=_gaps)
