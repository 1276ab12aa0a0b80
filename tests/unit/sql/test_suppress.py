from __future__ import annotations

import pytest

from dbopt.sql.script import script
from dbopt.sql.suppress import Suppressions


def covered(text: str, rule: str = "one", at: str = "") -> list[bool]:
    """Of each statement, whether its finding (where `at` stands, or at its start) is covered."""
    whole = script(text)
    markers = Suppressions(whole)
    found = []
    for subject in whole.subjects:
        offset = text.index(at, subject.start) if at else subject.start
        found.append(markers.cover(rule, subject, offset))
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select 1", [False]),
        ("-- dbopt:ignore one because\nselect 1", [True]),
        ("-- dbopt:ignore one\n-- more words\n\nselect 1", [True]),
        ("/* dbopt:ignore one */ select 1", [True]),
        ("/*\n dbopt:ignore one: because\n*/\nselect 1", [True]),
        ("--dbopt:ignore two, one because\nselect 1", [True]),
        ("-- dbopt:ignore all\nselect 1", [True]),
        ("-- dbopt:ignore two because of one\nselect 1", [False]),
        ("-- dbopt:ignore\nselect 1", [False]),
        ("-- dbopt:ignore ones\nselect 1", [False]),
        ("select '-- dbopt:ignore one'", [False]),
        ("select 1 -- dbopt:ignore one", [True]),
        ("select 1; -- dbopt:ignore one\nselect 2", [True, False]),
        ("select 1;\n-- dbopt:ignore one\nselect 2", [False, True]),
        ("-- dbopt:ignore one\nselect 1;\nselect 2", [True, False]),
        ("select 1,\n2; -- dbopt:ignore one\nselect 3", [True, False]),
        ("select 1 -- dbopt:ignore one\n, 2\n, 3", [True]),
        ("select 1;\n-- dbopt:ignore one", [False]),
        ("-- dbopt:ignore one", []),
        ("select 1\n-- dbopt:ignore one\n, 2\n, 3", [True]),
        ("select 1\n-- dbopt:ignore two\n, 2\n, 3", [False]),
        ("select 1\n-- dbopt:ignore one\n, 2;\nselect 3", [True, False]),
        ("select 1;\nselect 2\n-- dbopt:ignore one\n", [False, False]),
    ],
)
def test_a_marker_speaks_of_its_statement(text: str, expected: list[bool]) -> None:
    assert expected == covered(text)


def test_a_marker_inside_speaks_of_its_line() -> None:
    text = "select a\n, b -- dbopt:ignore one\n, c\nfrom t"
    assert [False] == covered(text, at="a\n")
    assert [True] == covered(text, at="b ")
    assert [False] == covered(text, at="c\n")


def test_a_marker_on_a_line_of_its_own_inside_speaks_of_the_next_line() -> None:
    text = "select a\n -- dbopt:ignore one\n\n -- more words\n, b\n, c\nfrom t"
    assert [True] == covered(text, at="b\n")
    assert [False] == covered(text, at="c\n")
    assert [False] == covered(text, at="t")
    assert [True] == covered(text)


def test_many_markers_cost_linear_time() -> None:
    text = "select 1 -- dbopt:ignore one\n;" * 3000
    assert all(covered(text))
