from __future__ import annotations

import time

import pytest

from dbopt.sql.lexer import code
from dbopt.sql.shorten import shortened


def short(text: str) -> str:
    return " ".join(token.text for token in shortened(code(text)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("select a from t where b in ( 1 , 2 )", "select a from t where b in ( 1 , 2 )"),
        ("select '" + "x" * 200 + "'", "select ''"),
        ("select $a$" + "x" * 200 + "$a$", "select ''"),
        ("f ( )", "f ( )"),
        ("( 1 , ( 2 ) , a )", "( 1 , ( 2 ) , a )"),
        ("a in ( 1", "a in ( 1"),
    ],
)
def test_what_is_left(text: str, expected: str) -> None:
    assert expected == short(text)


def test_a_list_keeps_its_first_constants() -> None:
    found = short("a in (" + "1, " * 999 + "1) and b").split()
    assert ["a", "in", "(", "1", ","] == found[:5]
    assert [")", "and", "b"] == found[-3:]
    assert 200 == found.count("1")


def test_rows_are_cut_as_long_as_only_commas_part_them() -> None:
    found = short("values " + "(1, 'a'), " * 99 + "(2, f(3)), (4)")
    assert 20 == found.count("( 1 , 'a' )")
    assert found.endswith(", ( 2 , f ( 3 ) ) , ( 4 )")


def test_it_is_linear() -> None:
    started = time.process_time()
    shortened(code("(1, " * 50_000))
    assert time.process_time() - started < 5.0
