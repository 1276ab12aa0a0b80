from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbopt.store.frame import Key
from dbopt.store.names import read_key, written_key

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@given(st.lists(st.one_of(st.integers(), WORDS), max_size=4).map(tuple))
def test_a_key_comes_back(key: Key) -> None:
    text = written_key(key)
    assert key == read_key(text)
    assert text.isascii()


@pytest.mark.parametrize(
    ("key", "text"),
    [((16384,), "[16384]"), ((1, "a b"), '[1,"a b"]'), ((True, "ü\0\udcff"), '[1,"\\u00fc?"]')],
)
def test_how_it_is_written(key: Key, text: str) -> None:
    assert text == written_key(key)


def test_long_words_are_cut_and_told_apart() -> None:
    one, other = (written_key(("x" * 5000 + end,)) for end in "ab")
    assert one != other
    assert len(one) < 500
    assert one == written_key(("x" * 5000 + "a",))
