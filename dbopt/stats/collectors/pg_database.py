"""pg_database: size, age of the oldest transaction, and limit of connections of each database."""

from __future__ import annotations

from dbopt.stats.collectors.reading import Reader, hidden
from dbopt.stats.view import View

VIEW = View(
    name="database_storage",
    key=("datid",),
    labels=("datname",),
    gauges=("size_bytes", "xid_age", "mxid_age", "datconnlimit", "datallowconn"),
    of_server=True,
    every=300.0,
)

READER = Reader(
    VIEW,
    "collect_database_storage",
    gaps=hidden(
        "database_storage", "Sizes of databases that the role may not connect to are hidden."
    ),
)
