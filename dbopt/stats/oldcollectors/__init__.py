"""One file a pg_stat view; `collectors` gives one of each."""

from __future__ import annotations

from dbopt.stats.oldcollectors import (
    pg_stat_activity,
    pg_stat_database,
    pg_stat_statements,
    pg_stat_user_indexes,
    pg_stat_user_tables,
)
from dbopt.stats.view import Collector, View

VIEWS: tuple[View, ...] = (
    pg_stat_database.VIEW,
    pg_stat_statements.VIEW,
    pg_stat_user_tables.VIEW,
    pg_stat_user_indexes.VIEW,
    pg_stat_activity.VIEW,
)


def collectors() -> tuple[Collector, ...]:
    """A set of collectors for one server: they may remember what they have seen of it."""
    return (
        pg_stat_database.DatabaseCollector(),
        pg_stat_statements.StatementsCollector(),
        pg_stat_user_tables.TablesCollector(),
        pg_stat_user_indexes.IndexesCollector(),
        pg_stat_activity.ActivityCollector(),
    )
