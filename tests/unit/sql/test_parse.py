from __future__ import annotations

import logging

import pytest

from dbopt.sql.parse import DEEPEST_PARSED, LONGEST_PARSED, parse, split

ATOMIC = "create function f() returns int begin atomic select 1; select case when a then 1 end; end"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (";;", []),
        ("select 1", ["select 1"]),
        ("select 1; -- a\n select ';' ; ", ["select 1", "select ';'"]),
        ("do $$ a; b $$; select 1", ["do $$ a; b $$", "select 1"]),
        (
            "create rule r as on update to t do (a; b); select 1",
            ["create rule r as on update to t do (a; b)", "select 1"],
        ),
        (
            f"{ATOMIC}; select 2",
            [
                ATOMIC,
                "select 2",
            ],
        ),
        ("begin; select 1; end; select 2", ["begin", "select 1", "end", "select 2"]),
    ],
)
def test_split(text: str, expected: list[str]) -> None:
    assert expected == [statement.text for statement in split(text)]


def test_a_tree_or_none() -> None:
    assert parse(split("select a from t")[0]) is not None
    assert parse(split("select )(")[0]) is None


@pytest.mark.parametrize(
    "text",
    [
        "select " + "(" * (DEEPEST_PARSED + 1) + "1" + ")" * (DEEPEST_PARSED + 1),
        "select '" + "x" * LONGEST_PARSED + "'",
        "select a" + "[1]" * 1000,
        "select a" + ".f(1)" * 1000,
        "select " + "not " * 20_000 + "a",
    ],
    ids=["deep", "long", "subscripts", "calls", "nots"],
)
def test_what_would_hurt_sqlglot_is_not_parsed(text: str) -> None:
    assert parse(split(text)[0]) is None


def test_sqlglot_logs_no_statement(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        parse(split("vacuum (verbose 'secret') t")[0])
    assert [] == caplog.records
