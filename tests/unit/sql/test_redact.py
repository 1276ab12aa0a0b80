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
        ("U&'d!0061' uescape '!', U&\"d\\0061\"", '$1 uescape $2, U&"d\\0061"'),
        ("select b'01', X'1f', N'n', $é$ secret $é$", "select $1, $2, $3, $4"),
        ("select 0x1F, 1_000, 1.5e-3, .5, $1", "select $2, $3, $4, $5, $1"),
        ("select a::int, j ?| array['x', 'y'], j?'k'", "select a::int, j ?| array[$1, $2], j?$3"),
        ("select 'a' -- 'secret'\n 'b', /* 'secret' /* */ 'secret' */ c", "select $1, c"),
        ("/* route='x' */ select a /*+ hint */ from t", "select a from t"),
    ],
)
def test_redacted(text: str, expected: str) -> None:
    assert expected == redact(text)


HIDDEN = " /* hidden: ambiguous quotes */"


@pytest.mark.parametrize(
    ("text", "on", "off", "unknown"),
    [
        (r"select 'C:\', secret", "select $1, secret", "select $1", "select $1" + HIDDEN),
        (r"select '\'', 'secret'", "select $1 secret $2", "select $1, $2", "select $1" + HIDDEN),
        (r"a = n'\' or b", "a = $1 or b", "a = $1", "a = $1" + HIDDEN),
        (r"E'\'', 'a\nb', c", "$1, $2, c", "$1, $2, c", "$1, $2, c"),
        (r"a like 'b' escape '\' or c", "a like $1 escape $2 or c", "a like $1 escape $2", None),
        (
            r"a like 'b' escape '\'' or c'",
            "a like $1 escape $2",
            None,
            "a like $1 escape $2" + HIDDEN,
        ),
        (r"$7, 'a' '\' $9", "$7, $10 $11 $9", "$7, $8 $9", "$7, $8 $9" + HIDDEN),
    ],
)
def test_backslashes(text: str, on: str, off: str | None, unknown: str | None) -> None:
    """Told nothing, it shows only what both readings take for code, but for `escape '\'`."""
    assert on == redact(text, conforming=True)
    assert off in {None, redact(text, conforming=False)}
    assert (on if unknown is None else unknown) == redact(text)


def test_a_long_text_is_cut_and_says_so() -> None:
    assert "select $1 /* cut */" == redact("select '" + "secret" * 100, limit=50)
