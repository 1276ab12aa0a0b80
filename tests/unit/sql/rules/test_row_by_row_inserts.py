from __future__ import annotations

import pytest

from dbopt.sql.rules.row_by_row_inserts import RULE
from tests.unit.sql.rules.asking import matches

ONE = "insert into t (a, b) values (1, 'x');"


def test_the_remedy_is_the_combined_statement() -> None:
    text = (
        "insert into s.t (a, b) values (1, 'x;');\n"
        "insert into s.t (a, b) values (2, 'y)'); -- two\n"
        "insert into s.t (a, b) values (3, null);"
    )
    (match,) = matches(RULE, text)

    assert "3 INSERTs of one row each into s.t, one after another." == match.message
    assert {"inserts": 3, "lines": [1, 2, 3]} == match.evidence
    assert (
        "One statement for all rows:\n"
        "insert into s.t (a, b) values\n  (1, 'x;'),\n  (2, 'y)'),\n  (3, null)"
    ) == match.remedy


def test_what_follows_the_row_stays_at_the_end() -> None:
    text = "insert into t (a) values ('x') on conflict do nothing returning a;" * 3
    (match,) = matches(RULE, text)

    assert match.remedy.endswith(
        "\n  ('x'),\n  ('x'),\n  ('x')\non conflict do nothing returning a"
    )


def test_of_many_rows_the_first_are_shown() -> None:
    (match,) = matches(RULE, "\n".join([ONE] * 30))

    assert match.remedy.endswith("  (1, 'x'),\n  ... -- and 10 rows more\n")
    assert 20 == match.remedy.count("(1, 'x')")


@pytest.mark.parametrize(
    "text",
    [
        f"begin;{ONE}{ONE}{ONE}commit;",
        f"begin;{ONE}commit;begin;{ONE}commit;{ONE}",
        ONE * 3 + "insert into t (a, b) values (1, 2), (3, 4);",
        "insert into t (a, b) values ($1, $2);" * 3,
        "insert into t values (1) on conflict (a) do update set a = 2;" * 3,
    ],
)
def test_fires(text: str) -> None:
    (match,) = matches(RULE, text)

    assert 3 == match.evidence["inserts"]


def test_two_runs_are_two_findings() -> None:
    other = "insert into u (a) values (1);"

    assert [3, 4] == [m.evidence["inserts"] for m in matches(RULE, ONE * 3 + other * 4)]


@pytest.mark.parametrize(
    "text",
    [
        ONE * 2,
        "insert into t (a, b) values (1, 2), (3, 4);" * 3,
        "insert into t select 1, 2;" * 3,
        "insert into t default values;" * 3,
        f"{ONE}select 1;{ONE}select 1;{ONE}",
        f"{ONE}insert into u (a, b) values (1, 'x');{ONE}",
        "explain insert into t (a, b) values (1, 2);" * 3,
        "update t set a = 1 where b = 2;" * 3,
    ],
)
def test_passes(text: str) -> None:
    assert [] == matches(RULE, text)


@pytest.mark.parametrize(
    "one",
    [
        # An INSERT may not update one row twice, and $1 is another value each time.
        "insert into t (a) values (1) on conflict (a) do update set a = 2;",
        "insert into t (a) values ($1);",
        "with x as (values (1)) insert into t (a) values (1);",
    ],
)
def test_is_not_combined_where_that_would_do_something_else(one: str) -> None:
    (match,) = matches(RULE, one * 3)

    assert "" == match.remedy


def test_texts_that_differ_around_the_row_are_not_combined() -> None:
    (match,) = matches(RULE, f"{ONE}{ONE}{ONE.upper()}")

    assert "" == match.remedy
