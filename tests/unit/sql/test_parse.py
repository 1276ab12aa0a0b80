from __future__ import annotations

import ast
import logging
from pathlib import Path

import pytest

import dbopt
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
        "select array[$1,$2]",
        "values ($1,$2)",
        "insert into t (a,b) values ($1::int,$2||$3)",
        "select * from t where a in ($1,$2,$3) limit $4",
        "select E'\\'', b from t",
        "select 'a' /* ' */ from t -- '",
        'select U&"a" from t',
        "select $$a$$,$q$b$q$ from t",
    ],
)
def test_sqlglot_reads_what_it_would_cut_wrongly(text: str) -> None:
    assert parse(split(text)[0]) is not None


@pytest.mark.parametrize(
    "text",
    [
        "select " + "(" * (DEEPEST_PARSED + 1) + "1" + ")" * (DEEPEST_PARSED + 1),
        "select a" + ", a" * (LONGEST_PARSED // 2),
        "select a" + "[1]" * 1000,
        "select a" + ".f(1)" * 1000,
        "select " + "not " * 20_000 + "a",
    ],
    ids=["deep", "long", "subscripts", "calls", "nots"],
)
def test_what_would_hurt_sqlglot_is_not_parsed(text: str) -> None:
    assert parse(split(text)[0]) is None


@pytest.mark.parametrize(
    "text",
    [
        "select a from t where b = '" + "x" * LONGEST_PARSED + "'",
        "select a from t where b in (" + "1234567, " * 20_000 + "1)",
        "insert into t values " + "(1, -2, 'abc', null), " * 10_000 + "(1, 2, 'x', true)",
    ],
    ids=["string", "list", "rows"],
)
def test_what_is_long_by_its_constants_is_parsed(text: str) -> None:
    assert len(text) > LONGEST_PARSED
    assert parse(split(text)[0]) is not None


def test_sqlglot_logs_no_statement(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        parse(split("vacuum (verbose 'secret') t")[0])
    assert [] == caplog.records


def test_nothing_else_calls_sqlglots_parser() -> None:
    """All of its input goes through `parse`, which is bounded and respelled."""
    package = Path(dbopt.__file__).parent
    found = set()
    for file in package.rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        if any(_parses(node) for node in ast.walk(tree)):
            found.add(file.relative_to(package).as_posix())
    assert {"sql/parse.py"} == found


def _parses(node: ast.AST) -> bool:
    """Whether this names a way into sqlglot's parser, or imports one."""
    ways = {"parse_one", "maybe_parse", "parse_into", "Tokenizer", "Parser", "Dialect", "transpile"}
    if isinstance(node, ast.ImportFrom):
        from_sqlglot = (node.module or "").split(".")[0] == "sqlglot"
        return from_sqlglot and any(name.name in {*ways, "parse"} for name in node.names)
    if isinstance(node, ast.Import):
        return any(name.name.split(".")[0] == "sqlglot" for name in node.names)
    return isinstance(node, ast.Attribute) and node.attr in ways
