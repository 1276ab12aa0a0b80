"""Rows of dbopt.history as they were written: entities' numbers and columns, gauges whole again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate

from dbopt.pg.connect import Row
from dbopt.store.block import NULLS, WIDTH, Block
from dbopt.store.chains import Chain, begin
from dbopt.store.names import Layout

Column = list[int | None]


@dataclass(slots=True)
class Decoded:
    """A block: entities' numbers, and its columns.

    Of the counters, by their places, `zeros` are all zero, and those that are in neither are
    all NULL: most are one of that, and need no list.
    """

    ids: list[int]
    counters: dict[int, Column]
    gauges: list[Column]
    zeros: frozenset[int]

    def values(self, counters: int) -> Iterator[tuple[int | None, ...]]:
        """Each entity's values, in the order of `ids`."""
        rows = len(self.ids)
        columns: list[Column] = []
        for number in range(counters):
            found = self.counters.get(number)
            if found is None:
                found = [0 if number in self.zeros else None] * rows
            columns.append(found)
        columns += self.gauges
        return zip(*columns, strict=True) if columns else iter([()] * rows)


class Decoder:
    """Reads rows of one target in order of time; remembers the chains that they form."""

    def __init__(self, layouts: Mapping[int, Layout]) -> None:
        self._layouts = layouts
        self._chains: dict[tuple[int, int], Chain] = {}

    def row(self, row: Row) -> tuple[Decoded | None, Decoded | None, list[int]]:
        """What changed, the base, and who is gone; None for none. Raises ValueError for bytes
        that are none of ours.
        """
        _, counters, gauges, _ = self._layouts[row["layout_id"]]
        chain = self._chain(row, len(gauges))
        shape = len(counters), len(gauges)
        changed = _decoded(row["changed"], shape, chain, whole=False)
        base = _decoded(row["base"], shape, chain, whole=True)
        return changed, base, _ids(Block(row["gone"])) if row["gone"] else []

    def _chain(self, row: Row, gauges: int) -> Chain | None:
        """The chain that the row belongs to; None where its beginning was not read."""
        place = (row["layout_id"], row["chain"])
        if row["link"] == 0:
            # Of its chain, nothing older can come.
            self._forget(row["at"])
            self._chains[place] = begin(row["at"], row["layout_id"], gauges, row["chain"])
        chain = self._chains.get(place)
        if chain is not None:
            chain.at = row["at"]
        return chain

    def _forget(self, at: datetime) -> None:
        old = [place for place, chain in self._chains.items() if not chain.lives(at)]
        for place in old:
            del self._chains[place]


def _decoded(
    data: bytes | None, shape: tuple[int, int], chain: Chain | None, *, whole: bool
) -> Decoded | None:
    if data is None:
        return None
    block, (width, gauges) = Block(data), shape
    ids = _ids(block)
    counters: dict[int, Column] = {}
    zeros = []
    for number in range(width):
        form = block.form(number + 1)
        if form & WIDTH:
            counters[number] = block.column(number + 1)
        elif not form & NULLS:
            zeros.append(number)
    found: list[Column] = []
    for number in range(gauges):
        column = block.column(1 + width + number)
        if whole:
            if chain is not None:
                chain.note(number, ids, column)
        elif chain is not None:
            column = chain.whole(number, ids, column)
        else:
            column = [None] * block.rows
        found.append(column)
    return Decoded(ids, counters, found, frozenset(zeros))


def _ids(block: Block) -> list[int]:
    return list(accumulate(step or 0 for step in block.column(0)))
