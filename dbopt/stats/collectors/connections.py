"""Connections in all: of how many, and how many are encrypted (pg_stat_ssl, pg_stat_gssapi)."""

from __future__ import annotations

from dbopt.stats.collectors.reading import Reader, hidden
from dbopt.stats.view import View

VIEW = View(
    name="connections",
    key=(),
    gauges=(
        "sessions",
        "max_connections",
        "superuser_reserved_connections",
        "reserved_connections",
        "ssl",
        "gss",
        "autovacuum_workers",
        "parallel_workers",
        "walsenders",
    ),
    of_server=True,
)

READER = Reader(
    VIEW,
    "collect_connections",
    gaps=hidden(
        "connections",
        "What other roles' connections are, and whether they are encrypted, is hidden.",
    ),
)
