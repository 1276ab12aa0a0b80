"""Unsigned fingerprints as signed bigints."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbopt.store.bigint import signed, unsigned


@pytest.mark.parametrize(
    ("number", "bigint"),
    [(0, 0), (1, 1), (2**63 - 1, 2**63 - 1), (2**63, -(2**63)), (2**64 - 1, -1)],
)
def test_bit_patterns_are_kept(number: int, bigint: int) -> None:
    assert bigint == signed(number)
    assert number == unsigned(bigint)


@given(st.integers(0, 2**64 - 1))
def test_there_and_back(number: int) -> None:
    assert -(2**63) <= signed(number) < 2**63
    assert number == unsigned(signed(number))


@pytest.mark.parametrize("number", [-1, 2**64])
def test_others_are_refused(number: int) -> None:
    with pytest.raises(ValueError, match="64-bit"):
        signed(number)
