from __future__ import annotations

from dbopt.sql.split import SourceStatement, position, statements

TEXT = """\
-- Lessons by topic.
-- It serves the catalogue.
CREATE INDEX a ON t (x);

/* two; three */
  CREATE INDEX b ON t (y) -- after; it
  WHERE z = 'a;b'
;
DO $$ begin; end $$
"""


def test_statements_with_positions_and_comments() -> None:
    expected = [
        SourceStatement(
            "CREATE INDEX a ON t (x)", 3, 1, ("Lessons by topic.", "It serves the catalogue.")
        ),
        SourceStatement(
            "CREATE INDEX b ON t (y) -- after; it\n  WHERE z = 'a;b'", 6, 3, ("two; three",)
        ),
        SourceStatement("DO $$ begin; end $$", 9, 1, ()),
    ]
    assert expected == statements(TEXT)


def test_nothing() -> None:
    assert [] == statements("")
    assert [] == statements("-- only a comment\n;;")


def test_position() -> None:
    assert (1, 1) == position("", 0)
    assert (2, 2) == position("ab\ncd", 4)
