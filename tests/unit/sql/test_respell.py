from __future__ import annotations

import pytest

from dbopt.sql.lexer import code
from dbopt.sql.respell import respelled


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("select ARRAY[$1,$2] -- c", "select ARRAY [ $1 , $2 ]"),
        ("a/* ' */b", "a b"),
        ("'it''s', 'a\\'", "'it''s' , 'a\\'"),
        ("'a'\n 'b', 'x''\n''y', 'a'''\n'b'", "'ab' , 'x''\n''y' , 'a''b'"),
        (r"E'\'', e'a\\', E'\n\q''\'''", r"'''' , 'a\' , " + "'\nq'''''''"),
        ("E'a'\n'\\'b'", "'a''b'"),
        ("$$it's$$, $q$ $$ $q$", "'it''s' , ' $$ '"),
        ("U&'d\\0061', B'01', X'1F', N'n'", "'d\\0061' , B'01' , X'1F' , N'n'"),
        ('U&"a""b" , "Ü b"', '"a""b" , "Ü b"'),
        ("größe", "größe"),
        ("date $1, interval $2 day, a + $3", "date '$1' , interval '$2' day , a + $3"),
        ("json_object($1: $2, $3 : b)", "json_object ( '$1' : $2 , '$3' : b )"),
        ("a[$1:$2]", "a [ $1 : $2 ]"),
    ],
)
def test_tokens_as_sqlglot_reads_them(text: str, expected: str) -> None:
    assert expected == respelled(code(text))


@pytest.mark.parametrize("word", ["a\xa0b", "\u2003", "a\u3000"])
def test_a_word_that_would_be_cut_in_two(word: str) -> None:
    assert respelled(code(f"select {word}(1)")) is None
