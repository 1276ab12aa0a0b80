"""How large an index will be: pure arithmetic on rows, widths and the server's page layout.

Sources, in src/backend/access of PostgreSQL: nbtree/README and nbtsort.c (fillfactor,
deduplication), hash/hashpage.c (buckets), gin/README (posting lists), brin/README; docs:
storage-page-layout.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

PAGE = 8192
_BTREE_SPACE = PAGE - 24 - 16
"""Bytes of a btree page but its header and its special space."""
_TUPLE, _POINTER, _TID = 8, 4, 6
"""Bytes of an index tuple's header, of the line pointer to it, of a row's address."""
_POSTING = 812
"""Bytes that a merged btree tuple may have (a tenth of a page; nbtsort.c: maxpostingsize)."""
_ALIGNMENT = {"c": 1, "s": 2, "i": 4, "d": 8}
_SHORT = 127
"""A value of varying length below this has a header of one byte and no alignment."""
_FILL = {"btree": 0.90, "gist": 0.90, "spgist": 0.80}
"""Default fillfactors; SP-GiST's pages are filled as they come."""
_GIST_HALF = 0.75
"""Rows of a GiST are put in one by one, so that pages are split and not full."""
_GIN_NEW = 0.1
"""Distinct elements for each element of all, where nothing tells: words and tags repeat."""
_GIST_BYTES = {"point": 32, "circle": 32, "polygon": 32, "box": 32, "tsvector": 4, "text": 3}
"""What GiST keeps of a value: a box of it, or of each of its elements a hash or three letters."""
_BRIN_RANGE = 128
"""Pages of the table that one BRIN entry is about (pages_per_range)."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key or INCLUDE column: mean bytes of a value that is not null, the share of nulls,
    distinct values, and how it is stored.

    Of an index of documents (GIN, GiST): `elements` of a value, the mean bytes of one, and how
    many there are that differ; 0 where that is not known.
    """

    width: float
    length: int = -1
    alignment: str = "i"
    null_share: float = 0.0
    distinct: float = 0.0
    dedups: bool = True
    type: str = ""
    elements: float = 0.0
    element_width: float = 8.0
    vocabulary: float = 0.0


@dataclass(frozen=True, slots=True)
class Shape:
    """What a size hangs on. `rows` are those that the predicate takes; `heap_bytes` and
    `heap_rows` the table's.

    `fill` is the fillfactor as a share, 0 for the method's own. `includes`: with INCLUDE columns.
    """

    method: str
    rows: float
    keys: tuple[Key, ...]
    heap_bytes: int = 0
    heap_rows: float = 0.0
    fill: float = 0.0
    includes: bool = False
    dedups: bool = True


def index_bytes(shape: Shape) -> int:
    """The bytes of the index, as it is when it has just been built."""
    methods = {"btree": _btree, "hash": _hash, "gin": _gin, "gist": _gist, "spgist": _gist}
    if shape.method == "brin":
        return _pages(_brin(shape))
    # Of another method nothing is known but that it holds the keys.
    return _pages(methods.get(shape.method, _gist)(shape))


def _pages(count: float) -> int:
    return math.ceil(count) * PAGE


def _btree(shape: Shape) -> float:
    """Leaf pages, one in some hundred above them, and the page that tells of the root."""
    fill = shape.fill or _FILL["btree"]
    leaves = _leaf_bytes(shape) / (_BTREE_SPACE * fill)
    if leaves <= 0:
        return 1
    above = leaves * (_row_bytes(shape.keys) + _POINTER) / (_BTREE_SPACE * 0.7)
    return 1 + max(1, math.ceil(leaves)) + (above if leaves > 1 else 0)


def _leaf_bytes(shape: Shape) -> float:
    one = _row_bytes(shape.keys) + _POINTER
    if shape.includes or not shape.dedups or not all(key.dedups for key in shape.keys):
        return shape.rows * one
    values = min(shape.rows, _distinct(shape))
    each = shape.rows / values if values else 0
    if each < 2:
        return shape.rows * one
    room = max(_TID, _POSTING - one)
    tuples = math.ceil(each * _TID / room)
    return values * (tuples * one + each * _TID)


def _distinct(shape: Shape) -> float:
    """Distinct keys, as if columns knew nothing of each other; nulls are one value."""
    count = 1.0
    for key in shape.keys:
        count *= max(1.0, key.distinct) + (1 if key.null_share else 0)
    return count


def _row_bytes(keys: tuple[Key, ...]) -> float:
    """A mean index tuple, aligned to 8 bytes."""
    return _TUPLE + _aligned(_data_bytes(keys), 8)


def _data_bytes(keys: tuple[Key, ...]) -> float:
    size = 0.0
    for key in keys:
        present = 1 - key.null_share
        size = _padded(size, key) if present > 0.5 else size
        size += key.width * present
    return size


def _padded(size: float, key: Key) -> float:
    if key.length < 0 and key.width < _SHORT:
        return size
    return _aligned(size, _ALIGNMENT.get(key.alignment, 4))


def _aligned(size: float, to: int) -> float:
    return math.ceil(size / to) * to


def _hash(shape: Shape) -> float:
    """Buckets of the rows' hash codes, 3/4 full, their number between powers of two.

    They are made for all rows of the table, also for those that are null (hashbuild)."""
    one = _aligned(_TUPLE + 4, 8) + _POINTER
    room = _BTREE_SPACE * (shape.fill or 0.75)
    buckets = max(2.0, max(shape.rows, shape.heap_rows) * one / room)
    entries = shape.rows * (1 - shape.keys[0].null_share)
    return 3 + _next_phase(buckets) + _overflow(shape.keys[0], entries, one)


def _next_phase(buckets: float) -> float:
    """Above 512 buckets are added a quarter of a power of two at a time (_hash_spareindex)."""
    power = 2.0 ** math.ceil(math.log2(buckets))
    if power <= 512:
        return power
    quarter = power / 8
    return power / 2 + quarter * math.ceil((buckets - power / 2) / quarter)


def _overflow(key: Key, entries: float, one: float) -> float:
    """Pages behind the buckets of values that fill more than a page."""
    if not key.distinct:
        return 0
    each = entries / key.distinct * one / _BTREE_SPACE
    return key.distinct * (each - 1) if each > 1 else 0


def _gin(shape: Shape) -> float:
    """The elements, and the rows' addresses of each as differences to the one before."""
    size = 0.0
    for key in shape.keys:
        count = shape.rows * (1 - key.null_share) * max(1.0, key.elements)
        values = min(count, key.vocabulary or count * _GIN_NEW)
        entry = _aligned(_TUPLE + key.element_width + 8, 8) + _POINTER
        each = count / values if values else 0
        size += values * entry + count * _address_bytes(shape, each)
    return 2 + size / (_BTREE_SPACE * 0.85)


def _address_bytes(shape: Shape, each: float) -> float:
    """Bytes of one address: 7 bits a byte, 11 bits the place in the page (ginpostinglist.c)."""
    if each < 2 or not shape.heap_rows:
        return _TID
    pages = shape.heap_bytes / PAGE / each
    return 1.2 if pages < 0.5 else 2 if pages < 8 else 3 if pages < 1000 else 4


def _gist(shape: Shape) -> float:
    """Tuples of the keys, a box or a signature of each, in pages that are not full."""
    fill = (shape.fill or _FILL.get(shape.method, 0.8)) * _GIST_HALF
    data = sum(_gist_width(shape, key) for key in shape.keys)
    one = _TUPLE + _aligned(max(16.0, data), 8) + _POINTER
    return 1 + shape.rows * one / (_BTREE_SPACE * fill)


def _gist_width(shape: Shape, key: Key) -> float:
    kept = _GIST_BYTES.get(key.type, 0) if shape.method == "gist" else 0
    return 8 + kept * key.elements if key.elements else kept or key.width


def _brin(shape: Shape) -> float:
    """An entry a range of pages, a map of entries, and the page that tells of both."""
    ranges = shape.heap_bytes / PAGE / _BRIN_RANGE
    entry = _aligned(_TUPLE + 2 * _data_bytes(shape.keys), 8) + _POINTER
    return 3 + ranges * (entry + _TID) / _BTREE_SPACE
