from __future__ import annotations

import pytest

from dbopt.inprocess.placeholders import numbered
from dbopt.sql.fingerprint import fingerprint


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT 1", "SELECT 1"),
        ("SELECT %s, %b, %t", "SELECT $1, $2, $3"),
        ("SELECT %(a)s, %(b)s, %(a)b", "SELECT $1, $2, $1"),
        ("SELECT 5 %% 3, %s", "SELECT 5 % 3, $1"),
        ("SELECT '%%s', %s", "SELECT '%s', $1"),
        ("SELECT %x, 10%", "SELECT %x, 10%"),
    ],
)
def test_numbered(text: str, expected: str) -> None:
    assert expected == numbered(text)


def test_a_statement_has_one_fingerprint_however_its_parameters_are_written() -> None:
    texts = [numbered("SELECT a FROM t WHERE b = %s"), numbered("SELECT a FROM t WHERE b = %(x)s")]
    every = {fingerprint(text) for text in [*texts, "SELECT a FROM t WHERE b = 7"]}
    assert 1 == len(every)
