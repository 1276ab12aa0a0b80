"""Sizes on disk: by the catalog for all, by looking at files for what has changed.

A look at a relation's files opens it, which takes the server 20 to 100 us and some kilobytes that
its session keeps. Of 60,000 relations only those that were written since the last look are worth
it; the catalog's page counts, as of the last VACUUM or ANALYZE, do for the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from dbopt.pg.connect import AsyncConnection, Row
from dbopt.pg.dropped import steadily
from dbopt.pg.fetch import fetch
from dbopt.pg.server import ServerInfo
from dbopt.stats.collectors.reading import Reader
from dbopt.stats.view import Collected, View

MEASURED_AT_ONCE = 500
"""Relations whose files are looked at in one look: those that were written most."""
WORTH = 200
"""Fewer writes than one for so many rows do not change a size that matters."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a relation's files took when its rows had been written `churn` times."""

    churn: int
    filenode: int
    sizes: Row


class StorageCollector:
    """Rows of the catalog, with real sizes where they are known. Remembers them: one a server.

    `sizes` is the query that gives the columns `parts` of the relations it is asked for.
    """

    def __init__(self, view: View, query: str, sizes: str, parts: tuple[str, ...]) -> None:
        self.view = view
        self._reader = Reader(view, query, large=True)
        self._sizes = sizes
        self._parts = parts
        self._measured: dict[int, Measured] = {}

    async def collect(self, conn: AsyncConnection, server: ServerInfo, limit: int) -> Collected:
        """The largest `limit` relations by the catalog."""
        found = await self._reader.collect(conn, server, limit)
        rows = {row[self.view.key[0]]: row for row in found.rows}
        self._measured = {key: old for key, old in self._measured.items() if key in rows}
        chosen = self._choose(rows)
        if chosen:
            params = {"relids": chosen}
            for sized in await steadily(lambda: fetch(conn, self._sizes, params)):
                self._remember(rows[sized[self.view.key[0]]], sized)
        for row in found.rows:
            del row["churn"], row["filenode"]
        return replace(found, rows=list(self._known(found.rows)))

    def _choose(self, rows: dict[int, Row]) -> list[int]:
        """Those with the most writes since they were measured, or since their statistics began."""
        writes = {key: self._writes(key, row) for key, row in rows.items()}
        changed = [key for key, count in writes.items() if count]
        return sorted(changed, key=lambda key: (-writes[key], key))[:MEASURED_AT_ONCE]

    def _writes(self, key: int, row: Row) -> int:
        """Writes that matter. One without any is as it was, or as the catalog says."""
        churn: int = row["churn"]
        measured = self._measured.get(key)
        if measured is None:
            return churn
        if measured.filenode != row["filenode"]:
            return max(churn, 1)
        since = abs(churn - measured.churn)
        return since if since * WORTH >= row["reltuples"] else 0

    def _remember(self, row: Row, sized: Row) -> None:
        sizes = {name: sized[name] for name in self._parts}
        self._measured[row[self.view.key[0]]] = Measured(row["churn"], row["filenode"], sizes)

    def _known(self, rows: Iterable[Row]) -> Iterable[Row]:
        for row in rows:
            measured = self._measured.get(row[self.view.key[0]])
            yield row if measured is None else {**row, **measured.sizes}
