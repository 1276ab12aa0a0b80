"""Text that the store can hold."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from dbopt.store.text import MAX_TEXT, plain_json, storable


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


def test_json_that_postgresql_takes() -> None:
    given = {
        "a\0": ["ü\udcff", 1, None, True, 1.5, float("nan"), float("inf")],
        2: {
            3,
        },
        "t": (1,),
    }
    assert {
        "a": ["ü?", 1, None, True, 1.5, "nan", "inf"], "2": [3], "t": [1],
    } == plain_json(given)  # fmt: skip
    assert {"a": ["\\xfc?"]} == plain_json({"a": ["ü\udcff"]}, unicode=False)
    when = datetime(2026, 3, 1, tzinfo=UTC)
    assert ["2026-03-01 00:00:00+00:00"] == plain_json([when])
