"""pg_stat_statements: what each statement cost, mapped from queryid to our fingerprint."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator
from functools import cache

from dbopt.pg.connect import AsyncConnection, Row
from dbopt.pg.fetch import fetch
from dbopt.pg.server import ServerInfo
from dbopt.pg.sqlfile import statements
from dbopt.sql.findings import Finding
from dbopt.sql.fingerprint import fingerprint, redact
from dbopt.stats.collectors.reading import facts, minor, whole
from dbopt.stats.view import Collected, View, not_examined
from dbopt.store.text import MAX_TEXT

OLDEST = 108
"""1.8, of PostgreSQL 13: total_exec_time, plans, WAL."""
INFO_SINCE = 109
MAX_KNOWN = 20_000
"""Statements whose fingerprint is remembered."""
UNKNOWN = (0, "")

Entry = tuple[int, int, int]
"""queryid, userid, toplevel: a row of pg_stat_statements in one database."""
Identity = tuple[int, str]
"""Fingerprint and redacted text."""

VIEW = View(
    name="statements",
    key=("queryid", "userid", "toplevel"),
    labels=("role", "fingerprint"),
    counters=(
        "plans",
        "total_plan_us",
        "calls",
        "total_exec_us",
        "rows",
        "shared_blks_hit",
        "shared_blks_read",
        "shared_blks_dirtied",
        "shared_blks_written",
        "local_blks_hit",
        "local_blks_read",
        "local_blks_dirtied",
        "local_blks_written",
        "temp_blks_read",
        "temp_blks_written",
        "shared_blk_read_us",
        "shared_blk_write_us",
        "local_blk_read_us",
        "local_blk_write_us",
        "temp_blk_read_us",
        "temp_blk_write_us",
        "wal_records",
        "wal_fpi",
        "wal_bytes",
        "wal_buffers_full",
        "jit_functions",
        "jit_generation_us",
        "jit_inlining_count",
        "jit_inlining_us",
        "jit_optimization_count",
        "jit_optimization_us",
        "jit_emission_count",
        "jit_emission_us",
        "jit_deform_count",
        "jit_deform_us",
        "parallel_workers_to_launch",
        "parallel_workers_launched",
    ),
    gauges=("min_exec_us", "max_exec_us", "stddev_exec_us", "max_plan_us", "minmax_stats_since_at"),
)

_OWN = re.compile(
    r"""/\*[ ]dbopt[ ]\*/ | \bdbopt"?\. | \bdbopt_explain\b
    | \bSCHEMA\s+(?:IF\s+(?:NOT\s+)?EXISTS\s+)?"?dbopt\b""",
    re.IGNORECASE | re.VERBOSE,
)
_PARAMETER = re.compile(r"%\(\w+\)s|%s")


class StatementsCollector:
    """One row a statement, role and level. Keeps what it learned of queryids: one a server.

    `own` are the rows of dbopt's own statements at the last look, which are left out.
    """

    view = VIEW

    def __init__(self) -> None:
        # By row, and not by queryid: with track = all an application's statement that dbopt
        # explains has the same queryid there, under EXPLAIN's text. None marks dbopt's own.
        self._known: dict[Entry, Identity | None] = {}
        self._identities: dict[int, Identity] = {}
        self._textless: set[Entry] = set()
        self.own: list[Row] = []

    def fingerprint_of(self, queryid: int) -> int | None:
        """The fingerprint of a queryid that was seen, None of one that was not."""
        known = self._identities.get(queryid)
        return known[0] if known is not None else None

    async def collect(self, conn: AsyncConnection, server: ServerInfo, limit: int) -> Collected:
        """The statements with the most time in all. Texts are read for unknown queryids only."""
        if server.statements < OLDEST:
            return Collected(findings=(_missing(server),))
        version, schema = server.statements, server.statements_schema
        params = {**facts(server, limit), "planning": server.statements_planning}
        rows = await fetch(conn, "collect_statements", params, version=version, schema=schema)
        await self._learn(conn, server, {_entry(row) for row in rows})
        kept, texts = self._fingerprinted(rows)
        info: Row = {"stats_reset": None, "dealloc": None}
        if version >= INFO_SINCE:
            info = (await fetch(conn, "collect_statements_info", version=version, schema=schema))[0]
        return Collected(
            kept,
            truncated=len(rows) >= limit,
            reset=info["stats_reset"],
            dealloc=info["dealloc"],
            texts=texts,
            findings=tuple(_gaps(server)),
        )

    async def _learn(self, conn: AsyncConnection, server: ServerInfo, seen: set[Entry]) -> None:
        if len(self._known) > MAX_KNOWN:
            self._known.clear()
            self._identities.clear()
        # Until it has gone and come back, what had no text has none: the file may have lost it.
        self._textless &= seen
        unknown = seen - self._known.keys() - self._textless
        if not unknown:
            return
        params = {"queryids": sorted({queryid for queryid, _, _ in unknown})}
        version, schema = server.statements, server.statements_schema
        name = "collect_statement_texts"
        for row in await fetch(conn, name, params, version=version, schema=schema):
            entry = _entry(row)
            if entry not in unknown:
                continue
            identity = identify(row["query"])
            if identity is not None:  # one text is kept for all roles
                identity = self._identities.setdefault(entry[0], identity)
            self._known[entry] = identity
            # A long text takes a while: let the process's other work have its turn.
            await asyncio.sleep(0)
        self._textless.update(unknown - self._known.keys())

    def _fingerprinted(self, rows: Iterable[Row]) -> tuple[list[Row], dict[int, str]]:
        kept: list[Row] = []
        texts: dict[int, str] = {}
        self.own = []
        for row in rows:
            # An entry that was evicted between the two reads has no text: it is left out.
            known = self._known.get(_entry(row), UNKNOWN)
            if known is None:
                self.own.append(whole({**row, "fingerprint": None}, VIEW))
            elif known is not UNKNOWN:
                kept.append(whole({**row, "fingerprint": known[0]}, VIEW))
                texts[known[0]] = known[1]
        return kept, texts


def _entry(row: Row) -> Entry:
    return row["queryid"], row["userid"], row["toplevel"]


def identify(text: str) -> tuple[int, str] | None:
    """A statement's fingerprint and redacted text; None for dbopt's own statements."""
    number = fingerprint(text)
    if _OWN.search(text) or number in _own_fingerprints():
        return None
    # No more than the store keeps: what is remembered of 20,000 statements must stay small.
    return number, redact(text, MAX_TEXT)[: MAX_TEXT + 1]


@cache
def _own_fingerprints() -> frozenset[int]:
    return frozenset(fingerprint(_PARAMETER.sub("$1", s.sql)) for s in statements())


def _missing(server: ServerInfo) -> Finding:
    create = f"{'ALTER' if server.statements_version else 'CREATE'} EXTENSION pg_stat_statements"
    if not server.statements_loaded:
        return not_examined(
            "statements",
            server,
            "pg_stat_statements is not loaded: nothing is known of single statements.",
            "Add pg_stat_statements to shared_preload_libraries, restart PostgreSQL, "
            "then CREATE EXTENSION IF NOT EXISTS pg_stat_statements;",
        )
    if server.statements_version:
        return not_examined(
            "statements",
            server,
            f"pg_stat_statements {server.statements_version} is older than 1.8.",
            f"{create} UPDATE;",
        )
    return not_examined(
        "statements",
        server,
        "pg_stat_statements is loaded, but the extension is not in this database.",
        f"{create};",
    )


def _gaps(server: ServerInfo) -> Iterator[Finding]:
    role = server.quoted_role
    if not server.reads_all_stats:
        yield not_examined(
            "statements",
            server,
            "Other roles' statements are hidden.",
            f"GRANT pg_monitor TO {role};",
        )
    if server.statements_track == "none":
        yield not_examined(
            "statements",
            server,
            "pg_stat_statements.track is none: statements are not counted.",
            "ALTER SYSTEM SET pg_stat_statements.track = top; SELECT pg_reload_conf();",
        )
    if not server.computes_query_id:
        yield not_examined(
            "statements",
            server,
            "compute_query_id is off: statements are not counted.",
            "ALTER SYSTEM SET compute_query_id = auto; SELECT pg_reload_conf();",
        )
    if not server.statements_planning:
        yield minor(
            "statements",
            server,
            "pg_stat_statements.track_planning is off: plans are not counted or timed.",
            "ALTER SYSTEM SET pg_stat_statements.track_planning = on; SELECT pg_reload_conf(); "
            "it costs something where many sessions run the same statement.",
        )
