"""Sizes on disk: by the catalog for all, by looking at files for what has changed.

A look at a relation's files opens it, which takes the server 20 to 100 us and some kilobytes that
its session keeps. Of 60,000 relations only those that were written since the last look are worth
it; the catalog's page counts, as of the last VACUUM or ANALYZE, do for the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from dbopt.pg.connect import AsyncConnection, Row
from dbopt.pg.fetch import fetch
from dbopt.pg.server import ServerInfo
from dbopt.stats.collectors.reading import Reader
from dbopt.stats.view import Collected, View

MEASURED_AT_ONCE = 500
"""Relations whose files are looked at in one look: those that were written most."""


class StorageCollector:
    """Rows of the catalog, with real sizes where they are known. Remembers them: one a server.

    `sizes` is the query that gives the columns `parts` of the relations it is asked for.
    """

    def __init__(self, view: View, query: str, sizes: str, parts: tuple[str, ...]) -> None:
        self.view = view
        self._reader = Reader(view, query, large=True)
        self._sizes = sizes
        self._parts = parts
        # What was measured, and the table's writes then.
        self._measured: dict[int, tuple[int, Row]] = {}

    async def collect(self, conn: AsyncConnection, server: ServerInfo, limit: int) -> Collected:
        """The largest `limit` relations by the catalog."""
        found = await self._reader.collect(conn, server, limit)
        writes = {row[self.view.key[0]]: row.pop("churn") for row in found.rows}
        self._measured = {key: old for key, old in self._measured.items() if key in writes}
        chosen = self._choose(writes)
        if chosen:
            sized = await fetch(conn, self._sizes, {"relids": chosen})
            for row in sized:
                key = row[self.view.key[0]]
                self._measured[key] = (writes[key], {name: row[name] for name in self._parts})
        return replace(found, rows=list(self._known(found.rows)))

    def _choose(self, writes: dict[int, int]) -> list[int]:
        """Those with the most writes since they were measured. One without any is as it was."""
        since = {
            key: abs(count - self._measured[key][0]) if key in self._measured else count
            for key, count in writes.items()
        }
        changed = [key for key, count in since.items() if count]
        return sorted(changed, key=lambda key: (-since[key], key))[:MEASURED_AT_ONCE]

    def _known(self, rows: Iterable[Row]) -> Iterable[Row]:
        for row in rows:
            measured = self._measured.get(row[self.view.key[0]])
            yield row if measured is None else {**row, **measured[1]}
