from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbopt.store.block import MOST, NULLS, SIGNED, WIDTH, Block, pack
from tests.support import examples

NUMBERS = st.one_of(
    st.none(),
    st.just(0),
    st.integers(0, 300),
    st.integers(-70_000, 70_000),
    st.integers(-MOST, MOST),
)


@st.composite
def tables(draw: st.DrawFn) -> list[list[int | None]]:
    rows = draw(st.integers(0, 20))
    columns = draw(st.integers(1, 6))
    some = st.sampled_from([NUMBERS, st.none(), st.just(0), st.integers(0, 70_000)])
    return [draw(st.lists(draw(some), min_size=rows, max_size=rows)) for _ in range(columns)]


@given(tables())
@settings(max_examples=examples(200), deadline=None)
def test_a_block_comes_back(columns: list[list[int | None]]) -> None:
    block = Block(pack(columns))
    assert (len(columns[0]), len(columns)) == (block.rows, block.columns)
    if columns[0]:
        assert columns == block.all()


def test_numbers_take_the_bytes_that_they_need() -> None:
    columns: list[list[int | None]] = [
        [0, 0],
        [None, None],
        [255, 0],
        [254, None],
        [-1, 127],
        [256],
    ]
    columns[-1].append(3)
    block = Block(pack(columns))
    forms = [block.form(n) for n in range(6)]
    assert [0, NULLS, 1, NULLS | 1, SIGNED | 1, 2] == forms
    assert 6 + 6 + 2 * sum(form & WIDTH for form in forms) == len(pack(columns))


def test_high_planes_come_first() -> None:
    assert b"\0\0\0\2\0\1\2\1\0\0\7" == pack([[256, 7]])


def test_what_is_too_large_becomes_the_largest() -> None:
    assert [[MOST, -MOST, 0]] == Block(pack([[1 << 80, -(1 << 80), 0]])).all()
    assert [[MOST, None]] == Block(pack([[1 << 63, None]])).all()


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"\0\0\0\2\0\1\2\1", b"\0\0\0\1\0\1\x0f" + bytes(15), pack([[1]]) + b"x"]
)
def test_other_bytes_are_no_block(data: bytes) -> None:
    with pytest.raises(ValueError, match="no block"):
        Block(data or b"\0\0\0\1")
