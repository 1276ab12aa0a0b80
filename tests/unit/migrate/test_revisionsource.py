from __future__ import annotations

import pytest

from dbopt.migrate.revisionsource import read, without_reason

TEXT = '''"""A revision."""
from alembic import op

TABLES = ("CREATE TABLE a (id bigint)",)


# dbopt:ignore all the whole function is for a database that nobody uses yet
def downgrade():
    op.drop_table("a")


def upgrade():
    op.execute("ALTER TABLE t ADD COLUMN b text")  # dbopt:ignore some-rule, other-rule fine here
    op.execute(
        """
        ALTER TABLE t ADD COLUMN c text;
        CREATE INDEX t_c ON t (c)
        """
    )
    # dbopt:ignore third-rule
    # and a comment between
    with op.get_context().autocommit_block():
        op.create_index("t_d", "t", ["d"])
    op.drop_index("t_e")
    x = "# dbopt:ignore all no comment"
'''
LINES = TEXT.split("\n")


def line(part: str) -> int:
    return next(at for at, text in enumerate(LINES, 1) if part in text)


@pytest.mark.parametrize(
    ("called", "written", "expected"),
    [
        ("op.execute(\n", "CREATE INDEX t_c ON t (c)", ("CREATE INDEX t_c", 9)),
        ("ADD COLUMN b", "ALTER TABLE t ADD COLUMN b text;", ("ADD COLUMN b", 17)),
        ("create_index", "CREATE INDEX t_d ON t (d);", ("create_index", 9)),
        ("drop_index", "CREATE TABLE a (id bigint)", ("CREATE TABLE a", 12)),
    ],
)
def test_the_place_of_a_line_of_sql(called: str, written: str, expected: tuple[str, int]) -> None:
    source = read(TEXT)
    at = LINES.index("    op.execute(") + 1 if called.endswith("\n") else line(called)
    assert (line(expected[0]), expected[1]) == source.place(at, written)


def test_the_place_of_an_offset_in_a_line() -> None:
    number, column = read(TEXT).place(
        line("ADD COLUMN b"), "  ALTER TABLE t ADD COLUMN b text;", 16
    )
    assert LINES[number - 1][column - 1 :].startswith("ADD COLUMN b text")


def test_a_line_that_no_one_called_is_the_files_first() -> None:
    assert (1, 1) == read(TEXT).place(0, "BEGIN;")


@pytest.mark.parametrize(
    ("rule", "part", "expected"),
    [
        ("some-rule", "ADD COLUMN b", True),
        ("other-rule", "ADD COLUMN b", True),
        ("fine", "ADD COLUMN b", False),
        ("some-rule", "ADD COLUMN c", False),
        ("third-rule", "create_index", True),
        ("third-rule", "autocommit_block", True),
        ("third-rule", "drop_index", False),
        ("anything", "drop_table", True),
        ("anything", "create_index", False),
    ],
)
def test_what_a_marker_speaks_of(rule: str, part: str, expected: bool) -> None:
    assert expected == read(TEXT).ignores(rule, line(part))


def test_markers_say_why() -> None:
    assert [line("third-rule")] == [one.line for one in without_reason(read(TEXT).markers)]


@pytest.mark.parametrize("text", ["def (", "\x00", "x = '''", "(" * 5000, ""])
def test_what_is_no_python_has_lines_alone(text: str) -> None:
    source = read(text)
    assert (1, 1) == source.place(0, "SELECT 1")
    assert not source.ignores("all", 1)
