"""Text that the store can hold."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dbopt.store.text import MAX_TEXT, storable


def test_ordinary_text_is_untouched() -> None:
    assert storable("SELECT 'ä' -- 🐘\n") == "SELECT 'ä' -- 🐘\n"


def test_what_postgresql_refuses_is_replaced() -> None:
    assert storable("a\0b\udcffc") == "ab?c"


def test_long_text_is_cut() -> None:
    assert storable("x" * MAX_TEXT) == "x" * MAX_TEXT
    assert storable("x" * (MAX_TEXT + 1)) == "x" * (MAX_TEXT - 3) + "..."


def test_what_another_encoding_lacks_is_escaped() -> None:
    assert storable("ä\udcff🐘", unicode=False) == "\\xe4?\\U0001f418"


@given(st.text(st.characters(codec=None)))
def test_any_text_can_be_sent(text: str) -> None:
    assert "\0" not in storable(text).encode().decode()
