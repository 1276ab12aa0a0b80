"""What a terminal is given."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dbopt.pg.shown import printable


def test_ordinary_text_is_untouched() -> None:
    assert printable("SELECT 'ä' AS \"naïve 🐘\"") == "SELECT 'ä' AS \"naïve 🐘\""


def test_control_characters_become_spaces() -> None:
    assert printable("a\x1b[31m\nb\x9bc\u202ed") == "a [31m b c d"


@given(st.text())
def test_any_text_is_printable_and_as_long(text: str) -> None:
    assert printable(text).isprintable()
    assert len(text) == len(printable(text))
