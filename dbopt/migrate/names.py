"""Names that dbopt gives: of a replacement, of what it replaced, and of partitions' indexes.

Each is made from the declared name alone, so that a later run knows what a killed one left.
"""

from __future__ import annotations

import hashlib
import re

from dbopt.sql.indexdef import IndexDefinition

MAX_NAME = 63
"""Bytes: NAMEDATALEN - 1. PostgreSQL would cut a longer name without a word."""
NEW = "_dbopt_new"
OLD = "_dbopt_old"

_suffix_of_reindex = re.compile(r"_cc(?:new|old)\d*\Z").search


def new_name(name: str) -> str:
    """Under which the index is built that is to take this name."""
    return _suffixed(name, NEW)


def old_name(name: str) -> str:
    """Under which the index that had this name waits for its drop."""
    return _suffixed(name, OLD)


def leaf_name(definition: IndexDefinition, table: str, turn: int = 0) -> str:
    """Of the index on the partition `table` that belongs to the declared one `definition`.

    It depends on the name and on the meaning: an index that replaces another of the same name
    finds its partitions' names free. `turn` counts up where something else has the name. Of
    partitions with long names that begin alike, each has another.
    """
    meaning = definition.create_sql(concurrently=False) + ("" if not turn else f" {turn}")
    start = _cut(table, MAX_NAME - len("_01234567_idx"))
    return f"{start}_{_digest(meaning if start == table else f'{meaning} {table}')}_idx"


def is_reindex_leftover(name: str) -> bool:
    """Whether a REINDEX CONCURRENTLY that failed leaves such names (docs: sql-reindex)."""
    return _suffix_of_reindex(name) is not None


def is_reindexed(name: str, of: str) -> bool:
    """Whether a REINDEX CONCURRENTLY of the index `of` that failed leaves such a name."""
    found = _suffix_of_reindex(name)
    if found is None:
        return False
    return name[: found.start()] == _cut(of, MAX_NAME - len(found[0].encode()))


def _suffixed(name: str, suffix: str) -> str:
    if len((name + suffix).encode()) <= MAX_NAME:
        return name + suffix
    tail = f"_{_digest(name)}{suffix}"
    return _cut(name, MAX_NAME - len(tail)) + tail


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _cut(name: str, size: int) -> str:
    """At most `size` bytes of it, and no half character."""
    return name.encode()[:size].decode(errors="ignore")
