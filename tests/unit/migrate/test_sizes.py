from __future__ import annotations

from dataclasses import replace

import pytest

from dbopt.migrate.sizes import PAGE, Key, Shape, index_bytes

INTEGER = Key(4, 4, "i", distinct=100_000)
ROWS = Shape("btree", 100_000, (INTEGER,), heap_bytes=10 << 20, heap_rows=100_000)


def test_a_btree_of_integers() -> None:
    # 100,000 rows of 16 + 4 bytes, 8,152 * 0.9 bytes a page: 273 leaves (PostgreSQL 18: 276 pages).
    assert 274 <= index_bytes(ROWS) / PAGE <= 276


def test_equal_keys_are_merged() -> None:
    few = replace(ROWS, keys=(replace(INTEGER, distinct=10),))
    apart = index_bytes(ROWS)

    assert index_bytes(few) < apart / 3
    assert index_bytes(replace(few, dedups=False)) == apart
    assert index_bytes(replace(few, includes=True)) == apart
    assert index_bytes(replace(few, keys=(replace(INTEGER, distinct=10, dedups=False),))) == apart


def test_a_fillfactor_makes_it_larger() -> None:
    assert index_bytes(replace(ROWS, fill=0.45)) / index_bytes(ROWS) == pytest.approx(2, rel=0.02)


def test_nulls_and_short_values_take_less() -> None:
    text = Key(21, distinct=100_000)
    assert index_bytes(replace(ROWS, keys=(text,))) < index_bytes(
        replace(ROWS, keys=(replace(text, width=200),))
    )
    assert index_bytes(replace(ROWS, keys=(replace(text, null_share=0.9),))) < index_bytes(
        replace(ROWS, keys=(text,))
    )


@pytest.mark.parametrize("method", ["btree", "hash", "gin", "gist", "spgist", "brin", "bloom"])
def test_nothing_takes_some_pages(method: str) -> None:
    empty = Shape(method, 0, (Key(8),))

    assert PAGE <= index_bytes(empty) <= 8 * PAGE


@pytest.mark.parametrize("method", ["btree", "hash", "gin", "gist", "spgist", "bloom"])
def test_more_rows_take_more(method: str) -> None:
    small = replace(ROWS, method=method)
    large = replace(small, rows=4 * ROWS.rows, heap_rows=4 * ROWS.rows, heap_bytes=40 << 20)

    assert 2 < index_bytes(large) / index_bytes(small) < 6


def test_a_brin_goes_by_the_tables_pages() -> None:
    brin = replace(ROWS, method="brin")

    assert index_bytes(brin) == index_bytes(replace(brin, rows=1)) < 10 * PAGE


def test_a_hash_has_buckets_for_all_rows_of_the_table() -> None:
    some = replace(ROWS, method="hash", rows=1000)

    assert index_bytes(some) > index_bytes(replace(some, heap_rows=1000)) * 10


def test_gin_goes_by_elements() -> None:
    tags = replace(INTEGER, elements=3, vocabulary=100)
    gin = replace(ROWS, method="gin", keys=(tags,))

    assert index_bytes(gin) < index_bytes(replace(gin, keys=(replace(tags, elements=30),)))
    assert index_bytes(gin) < index_bytes(replace(gin, keys=(replace(tags, vocabulary=90_000),)))
