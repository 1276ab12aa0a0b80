from __future__ import annotations

import pytest

from dbopt.sql.redact import redact


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT  *\n FROM Users -- why\nWHERE a = 'x'", "SELECT * FROM Users WHERE a = $1"),
        ("where a = $2 and b = 5", "where a = $2 and b = $3"),
        ("interval'1 day' or 1or 2", "interval $1 or $2 or $3"),
        ("'a'||'b', 1-1", "$1||$2, $3-$4"),
        ("a in (1, 2, 3) and f(1, 2)", "a in ($1 /*, ... */) and f($4, $5)"),
        ("alter role r password 'secret'", "alter role r password $1"),
        ("do $$ secret $$", "do $1"),
        ("select 'never closed secret", "select $1"),
        ('select "never closed secret', "select $1"),
        ("select 1 /* secret", "select $1"),
        ('select "Name", true, null, a$b', 'select "Name", true, null, a$b'),
        ("/* route='x' */ select a /*+ hint */ from t", "select a from t"),
    ],
)
def test_redacted(text: str, expected: str) -> None:
    assert expected == redact(text)


def test_a_long_text_is_cut_and_says_so() -> None:
    assert "select $1 /* cut */" == redact("select '" + "secret" * 100, limit=50)
