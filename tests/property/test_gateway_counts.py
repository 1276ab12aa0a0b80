"""Whatever the integers in a text, a shape leads to the count of the text's own fingerprint."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from dbopt.gateway.counts import Counts
from dbopt.sql.fingerprint import fingerprint
from tests.support import examples

PIECES = st.sampled_from(
    [
        "select ", " from t", " where a", "=", "1", "22", "0x1f", "1e5", ".5", "'x 1'", "'",
        '"c 1"',
        "$1", "$$ 1 $$", "/* 1 */", "-- 1\n", " in (", "1, 2", ")", "E'\\1 1'", "a1", " ", "-", "+",
        "::numeric(10,2)", "limit 5", "é1", "U&'\\0041 1'", "1_000", "B'01'", "order by 1",
        ";", "[1]",
    ]
)  # fmt: skip


def _with(text: str, digit: str) -> str:
    return "".join(digit if letter.isascii() and letter.isdigit() else letter for letter in text)


@settings(max_examples=examples(1000), deadline=None)
@given(
    pieces=st.lists(PIECES, max_size=12), digits=st.lists(st.sampled_from("0123456789"), max_size=4)
)
def test_a_shape_stands_for_one_fingerprint(pieces: list[str], digits: list[str]) -> None:
    scope = Counts(1e9, False, 10_000, 10).scope("shop", "ann", "web")
    text = "".join(pieces)
    for variant in (text, *(_with(text, digit) for digit in digits)):
        assert fingerprint(variant) == scope.count(variant.encode()).fingerprint, variant
