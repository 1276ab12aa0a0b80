from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dbopt.pg.connect import Connection, connect
from tests.unit.cli.calls import Call, Result, caller

NOT_IN = (
    "SELECT p.id FROM people p WHERE p.id NOT IN (SELECT person FROM orders) AND p.mail <> 'secret'"
)


@pytest.fixture
def connection(pg_dsn: str) -> Iterator[Connection]:
    with connect(pg_dsn) as made:
        made.execute("CREATE TABLE people (id int PRIMARY KEY, mail text NOT NULL, age int)")
        made.execute("CREATE TABLE orders (id int PRIMARY KEY, person int NOT NULL, giver int)")
        made.execute("CREATE INDEX ON orders (person)")
        made.execute(
            "INSERT INTO people SELECT n, 'm' || n, n % 90 FROM generate_series(1, 20000) n;"
            "INSERT INTO orders SELECT n, 1 + n % 9000, 1 + n % 50 FROM generate_series(1, 30000) n"
        )
        made.execute("ANALYZE people, orders")
        # Too little to hash the subquery of NOT IN.
        made.execute(f"ALTER DATABASE {made.info.dbname} SET work_mem = '64kB'")
        yield made


@pytest.fixture
def call(
    connection: Connection,
    pg_dsn: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Call:
    """Runs `dbopt --dsn … query` in an empty directory."""
    monkeypatch.chdir(tmp_path)
    run = caller(monkeypatch, capsys)
    return lambda *words: run("--dsn", pg_dsn, "query", *words)


def findings(result: Result, rule: str) -> list[dict[str, Any]]:
    return [one for one in json.loads(result.out) if one["rule"] == rule]


def test_a_rewrite_that_was_checked_is_shown_beside_the_statement(call: Call) -> None:
    result = call("lint", NOT_IN)
    assert 1 == result.code
    out = re.sub(r"\s+", " ", result.out)
    assert "As written: cost" in out
    assert "Rewritten: cost" in out
    assert re.search(r"Equal on samples of the tables \(\d+ rows compared\)", out)
    assert "'secret'" in result.out
    assert "Not examined" not in result.out

    (found,) = findings(call("lint", NOT_IN, "--json"), "not-in-subquery")
    assert "NOT EXISTS" in found["rewrite"]
    assert "'secret'" in found["rewrite"]
    assert found["check"]["cost_after"] < found["check"]["cost_before"]
    assert (True, "") == (found["check"]["equal"], found["check"]["why"])


def test_the_rewrite_that_it_offers_gives_the_same(call: Call, connection: Connection) -> None:
    text = "SELECT p.id FROM people p WHERE p.id NOT IN (SELECT person FROM orders) ORDER BY p.id"
    (found,) = findings(call("lint", text, "--json"), "not-in-subquery")
    before, after = (connection.execute(q.encode()).fetchall() for q in (text, found["rewrite"]))
    assert before == after
    assert len(before) > 1000


def test_a_file_keeps_its_constants(call: Call) -> None:
    Path("a.sql").write_text(f"{NOT_IN};\nSELECT 1 FROM people WHERE mail = 'secret' + 1 FORM;")
    for words in ((), ("--json",), ("--format", "github")):
        result = call("lint", "a.sql", *words)
        assert "secret" not in result.out + result.err
    assert "NOT EXISTS" in call("lint", "a.sql").out
    assert "'secret'" in call("lint", "a.sql", "--literals").out


def test_an_unequal_rewrite_is_not_offered(call: Call, connection: Connection) -> None:
    # Without the catalog nothing says that giver may be NULL; with it there is no such rewrite.
    text = NOT_IN.replace("person FROM", "giver FROM")
    (found,) = findings(call("lint", text, "--json"), "not-in-subquery")
    assert "" == found["rewrite"]


def test_rewrites_are_left_alone_where_they_are_not_wanted(call: Call) -> None:
    for words in (("--no-prove",), ("--no-catalog",)):
        (found,) = findings(call("lint", NOT_IN, "--json", *words), "not-in-subquery")
        assert ("", False) == (found["rewrite"], "check" in found)


def test_nothing_of_a_check_stays(call: Call, connection: Connection) -> None:
    def state() -> list[dict[str, Any]]:
        return connection.execute(
            "SELECT (SELECT count(*) FROM pg_class) AS relations,"
            " (SELECT sum(hashtext(p::text)) FROM people p) AS people"
        ).fetchall()

    before = state()
    call("lint", NOT_IN, "UPDATE people SET age = 1 WHERE age + 1 = 5", "DELETE FROM orders")
    assert before == state()


def test_the_servers_word_on_what_is_no_sql(call: Call) -> None:
    Path("a.sql").write_text("SELECT 1;\n  SELECT 'secret' FORM people x y;")
    result = call("lint", "a.sql")
    assert 2 == result.code
    lines = result.out.splitlines()
    at = lines.index("a.sql:2:24 critical syntax: Is not SQL: syntax error (42601).")
    assert ["    SELECT 'xxxxxx' FORM people x y;", " " * 25 + "^^^^^^"] == lines[at + 1 : at + 3]

    typed = call("score", "SELECT 'ü' FORM people x y")
    assert 2 == typed.code
    assert [
        'dbopt: 1:17: syntax error at or near "people".',
        "  SELECT 'ü' FORM people x y",
        "                  ^^^^^^",
    ] == typed.err.splitlines()


def test_what_postgresql_takes_and_our_parser_does_not_is_no_finding(call: Call) -> None:
    text = "SELECT json_serialize('{}' RETURNING text ERROR ON ERROR) FROM people WHERE id = 1"
    result = call("lint", text, "--json")
    unread = findings(result, "unparsed")
    if unread:  # until the parser learns it
        assert [False] == [one["examined"] for one in unread]
    assert result.code in (0, 2)


def test_score_takes_sizes_and_the_planners_cost_in(call: Call) -> None:
    text = "SELECT count(*) FROM people p, orders o WHERE o.person = p.id"
    (found,) = json.loads(call("score", text, "--json").out)
    (blind,) = json.loads(call("score", text, "--json", "--no-catalog").out)
    assert found["cost"] > 100
    assert blind["cost"] is None
    assert found["score"] != blind["score"]
    assert any("cost" in reason["what"] for reason in found["reasons"])
    (ddl,) = json.loads(call("score", "CREATE TABLE x (a int)", "--json").out)
    assert ddl["cost"] is None


def test_explain(call: Call) -> None:
    result = call("explain", "SELECT * FROM people WHERE mail = $1")
    assert 0 == result.code
    lines = result.out.splitlines()
    assert "1:1 SELECT * FROM people WHERE mail = $1" == lines[0]
    assert lines[1].startswith("  Seq Scan on public.people  (cost ")
    assert "  Reads all 20000 rows of public.people to give 1." in lines
    assert any(re.fullmatch(r"  Cost \d+\.\d\d\.", line) for line in lines)

    (found,) = json.loads(call("explain", "SELECT * FROM people WHERE id = 1", "--json").out)
    assert ([], "Index Scan") == (found["notes"], found["plan"]["Plan"]["Node Type"])


def test_explain_analyze_shows_what_was_estimated_wrong(call: Call) -> None:
    text = "SELECT * FROM people WHERE mail || '' = mail"
    quiet, loud = (call("explain", *words, text) for words in ((), ("--analyze",)))
    assert "expected" not in quiet.out
    assert re.search(
        r"Seq Scan on public.people: 100 rows expected, 20000 came \(200 times", loud.out
    )


def test_explain_runs_nothing_that_writes(call: Call, connection: Connection) -> None:
    result = call("explain", "--analyze", "DELETE FROM people")
    assert 0 != result.code
    assert "25006" in result.line
    assert [{"count": 20000}] == connection.execute("SELECT count(*) FROM people").fetchall()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("SELECT nme FROM people", '1:8: column "nme" does not exist.'),
        ("SELECT * FROM persons", '1:15: relation "persons" does not exist.'),
        ("CREATE TABLE x (a int)", "1:1: This is not one statement that can be explained."),
        ("selec 1", "1:1: no command of PostgreSQL starts like this."),
        ("SELECT 'abc", "1:8: this string does not end."),
    ],
)
def test_explain_of_what_the_server_refuses(call: Call, text: str, words: str) -> None:
    result = call("explain", text)
    assert 2 == result.code
    assert f"dbopt: {words}" in result.err
    assert "Traceback" not in result.err


def test_explain_is_limited_in_time(call: Call) -> None:
    text = "SELECT count(*) FROM people a, people b, people c WHERE a.age <> b.age * c.age"
    result = call("explain", "--analyze", "--timeout", "0.2", text)
    assert 4 == result.code
    assert "57014" in result.err


def test_an_unreachable_server(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    run = caller(monkeypatch, capsys)
    result = run("--dsn", "host=127.0.0.1 port=1", "query", "lint", "SELECT 1")
    assert (3, "") == (result.code, result.out)
    assert "cannot be reached" in result.line
