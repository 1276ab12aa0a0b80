from __future__ import annotations

import pytest

from dbopt.sql.mistake import excerpt, find_mistake, hidden, without_constants
from dbopt.sql.parse import split


@pytest.mark.parametrize(
    ("text", "rest", "reason", "certain"),
    [
        ("selec 1", "selec 1", "no command of PostgreSQL starts like this", True),
        ("select 'abc", "'abc", "this string does not end", True),
        ("select E'a\\'", "E'a\\'", "this string does not end", True),
        ("select $q$abc$", "$q$abc$", "this string does not end", True),
        ('select "abc', '"abc', "this quoted name does not end", True),
        ("select a, b\nfrom where x", "where x", "something is missing at where", False),
        ("select * form t", "t", "t is not expected here", False),
        ("select (1", "1", ") is missing here", False),
        ("select 'a\nb', 1) , 2", ") , 2", "this is not expected here", False),
        ("select\t/* ü */ 1 )", ")", "this is not expected here", False),
        ("select 1 from t where", "where", "something is missing at where", False),
    ],
)
def test_the_first_mistake(text: str, rest: str, reason: str, certain: bool) -> None:
    found = find_mistake(split(text)[0])
    assert found is not None
    assert (rest, reason, certain) == (text[found.offset :], found.reason, found.certain)


@pytest.mark.parametrize("text", ["select 'a''b'", "select E'\\\\'", 'select "a"', "select $$a$$"])
def test_no_mistake(text: str) -> None:
    assert None is find_mistake(split(text)[0])


def test_a_mistake_in_the_second_statement() -> None:
    text = "select 1;\n\nselect 2 )"
    found = find_mistake(split(text)[1])
    assert found is not None
    assert text.index(")") == found.offset


def test_an_excerpt_has_a_caret_under_the_place() -> None:
    text = "select 1,\n  name\nfrom t"
    assert ("  name", "  ^^^^") == excerpt(text, text.index("name"))
    assert ("  name", "  ^^") == excerpt(text, text.index("name"), text.index("name") + 2)
    assert ("from t", "^^^^") == excerpt(text, text.index("from"))
    # What goes on below the line is marked to the line's end.
    assert ("select x,", "^^^^^^^^^") == excerpt("select x,\n y", 0, 11)


def test_an_excerpt_hides_constants() -> None:
    text = "select 'secret', 42, $$more\nsecret$$ , name from t"
    assert "select 'xxxxxx', xx, xxxxxx" == excerpt(text, 0)[0]
    assert "xxxxxxxx , name from t" == excerpt(text, text.index("name"))[0]
    assert "select 'secret', 42, $$more" == excerpt(text, 0, hide=False)[0]
    assert "select 'xx" == excerpt("select 'ab", 7)[0]


def test_an_excerpt_of_a_long_line_is_the_part_around_the_place() -> None:
    text = "select " + "a, " * 500 + "here, " + "b, " * 500
    line, carets = excerpt(text, text.index("here"))
    assert 76 == len(line)
    assert "here" == line[carets.index("^") :][: carets.count("^")]

    line, carets = excerpt(text, 0, len(text), width=20)
    assert ("select a, a, a, a, a", "^" * 20) == (line, carets)


def test_an_excerpt_commands_no_terminal() -> None:
    assert "select [xxm, a" == excerpt("select\x1b[31m, a", 0)[0]


def test_words_without_the_constants_that_they_quote() -> None:
    statement = split("select 'secret', 1234, 7 from t")[0]
    assert "Write … or … or 7." == hidden("Write secret or 1234 or 7.", statement)


def test_another_text_without_the_statements_constants() -> None:
    statement = split("select E'sec ret', 1234, 7, $q$body$q$ from t1234")[0]
    assert "select '…', 7 , '…' , …, 1 from t1234, 'new'" == without_constants(
        "select 'sec ret', 7 , 'body' , 1234, 1 from t1234, 'new'", statement
    )
