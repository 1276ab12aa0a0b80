from __future__ import annotations

import json
from pathlib import Path

import pytest

from dbopt.sql.lint import RULES
from tests.unit.cli.calls import Call

BAD = "SELECT p.id FROM people p WHERE p.mail = 'secret' AND p.age = NULL"


@pytest.mark.parametrize("command", ["score", "lint", "fingerprint"])
def test_without_a_dsn_nobody_is_connected_to(call: Call, command: str) -> None:
    assert 3 != call("query", command, "SELECT id FROM people WHERE id = 1").code


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--dsn", "host=/nowhere", "query", "lint"), 3),
        (("query", "lint", "--dsn", "host=/nowhere"), 3),
        (("-s", "server.dsn=host=/nowhere", "query", "score"), 3),
        (("query", "explain", "--dsn", "host=/nowhere"), 3),
        (("--dsn", "host=/nowhere", "query", "lint", "--no-catalog"), 0),
        (("-s", "server.dsn=host=/nowhere", "query", "score", "--no-catalog"), 0),
    ],
)
def test_a_dsn_that_somebody_has_set_is_connected_to(
    call: Call, words: tuple[str, ...], code: int
) -> None:
    assert code == call(*words, "SELECT id FROM people WHERE id = 1").code


def test_an_environment_is_somebody_too(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBOPT_SERVER__DSN", "host=/nowhere")
    assert 3 == call("query", "lint", "SELECT 1").code


def test_lint_of_typed_sql(call: Call) -> None:
    result = call("query", "lint", BAD, "--rule", "null-comparison")
    assert 1 == result.code
    first, line, carets, *_ = result.out.splitlines()
    assert first.startswith("1:55 warning null-comparison: ")
    assert f"  {BAD}" == line
    assert line[carets.index("^") :].startswith("p.age = NULL")
    assert result.out.endswith("1 finding: 1 warning.\n")


def test_lint_of_a_file_shows_no_constant(call: Call) -> None:
    Path("a.sql").write_text(f"SELECT 1;\n{BAD};")
    for form in ("text", "json", "github"):
        result = call("query", "lint", "a.sql", "--format", form)
        assert 1 == result.code
        assert "secret" not in result.out + result.err
    assert "a.sql:2:55 warning null-comparison" in call("query", "lint", "a.sql").out
    assert "'secret'" in call("query", "lint", "a.sql", "--literals").out


def test_lint_as_json(call: Call) -> None:
    result = call("query", "lint", BAD, "--json", "--rule", "null-comparison")
    (found,) = json.loads(result.out)
    assert ("null-comparison", "warning", "1:55", True, "", "") == tuple(
        found[name] for name in ("rule", "severity", "object", "examined", "file", "rewrite")
    )
    assert (1, 55, 1) == tuple(found["evidence"][n] for n in ("line", "column", "statement"))


def test_lint_as_annotations(call: Call) -> None:
    Path("a,b.sql").write_text(f"\n{BAD}")
    out = call("query", "lint", "a,b.sql", "--format", "github").out
    assert out.startswith("::warning file=a%2Cb.sql,line=2,col=55,endLine=2,endColumn=")
    assert ",title=null-comparison::" in out


def test_what_it_exits_with(call: Call) -> None:
    assert 0 == call("query", "lint", "SELECT id FROM people WHERE id = 1").code
    assert 1 == call("query", "lint", BAD).code
    assert 0 == call("query", "lint", BAD, "--fail-on", "critical").code
    assert 0 == call("query", "lint", BAD, "--fail-on", "never").code
    assert 0 == call("query", "lint", BAD, "--ignore", "null-comparison").code
    assert 0 == call("query", "lint", "--", f"-- dbopt:ignore null-comparison why\n{BAD}").code
    assert 1 == call("query", "lint", "DELETE FROM t", "--fail-on", "critical").code


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--rule", "select-stars"), "there is no such rule. Did you mean select-star?"),
        (("--ignore", "zzz"), "zzz: there is no such rule. `dbopt query lint --rules` lists all."),
    ],
)
def test_an_unknown_rule(call: Call, words: tuple[str, str], line: str) -> None:
    result = call("query", "lint", "SELECT 1", *words)
    assert 2 == result.code
    assert line in result.line


def test_the_rules_are_listed_with_their_reasons(call: Call) -> None:
    out = call("query", "lint", "--rules").out
    assert all(rule.name in out for rule in RULES)
    listed = json.loads(call("query", "lint", "--rules", "--json").out)
    assert [rule.reason for rule in RULES] == [rule["reason"] for rule in listed]


def test_what_is_no_sql_is_shown_with_a_caret(call: Call) -> None:
    Path("a.sql").write_text("SELECT 1;\n  selec 'secret';\nSELECT a FROM;\n")
    result = call("query", "lint", "a.sql")
    assert 2 == result.code
    lines = result.out.splitlines()
    at = lines.index(
        "a.sql:2:3 critical syntax: Is not SQL: no command of PostgreSQL starts like this."
    )
    assert ["    selec 'xxxxxx';", "    ^^^^^"] == lines[at + 1 : at + 3]
    assert any(line.startswith("a.sql:3:10 info unparsed: Cannot be parsed") for line in lines)

    scored = call("query", "score", "a.sql")
    assert (2, "") == (scored.code, scored.out)
    assert [
        "dbopt: a.sql:2:3: no command of PostgreSQL starts like this.",
        "    selec 'xxxxxx';",
        "    ^^^^^",
    ] == scored.err.splitlines()


def test_a_part_that_comes_late_has_its_place(call: Call) -> None:
    many = "SELECT id FROM people WHERE id = 1;\n" * 3000
    Path("a.sql").write_text(f"{many}{BAD};\n{many}")
    result = call("query", "lint", "a.sql", "--rule", "null-comparison", "--json")
    (found,) = json.loads(result.out)
    assert ("3001:55", 3001) == (found["object"], found["evidence"]["statement"])


def test_score(call: Call) -> None:
    result = call("query", "score", "SELECT * FROM people, orders WHERE people.age > 1")
    assert 0 == result.code
    lines = result.out.splitlines()
    assert "1:1 SELECT * FROM people, orders WHERE people.age > 1" == lines[0]
    assert ", of 100" in lines[1]
    assert any("cross join" in line for line in lines)


def test_score_above_the_limit_exits_1(call: Call) -> None:
    result = call("query", "score", "SELECT * FROM a, b", "SELECT 1", "--limit", "5", "--json")
    assert 1 == result.code
    dear, cheap = json.loads(result.out)
    assert ("extreme", 5, None) == (dear["grade"], dear["limit"], dear["cost"])
    assert dear["score"] == sum(reason["points"] for reason in dear["reasons"])
    assert cheap["score"] < dear["score"]
    assert 1 == call("-s", "sql.complexity_limit=5", "query", "score", "SELECT * FROM a, b").code
    assert 0 == call("query", "score", "SELECT * FROM a, b", "--limit", "9999").code


def test_score_uses_the_weights_of_the_settings(call: Call) -> None:
    text = "SELECT * FROM a, b"
    before, after = (
        json.loads(call(*words, "query", "score", text, "--json").out)[0]["score"]
        for words in ((), ("-s", "complexity.cross_join=500"))
    )
    assert after >= before + 400


def test_fingerprint(call: Call) -> None:
    result = call("query", "fingerprint", "SELECT A FROM t WHERE x = 'secret'; select 2")
    one, two = result.out.splitlines()
    assert "  select a from t where x = ?" == one[16:]
    assert "  select ?" == two[16:]
    (again, _) = call(
        "query", "fingerprint", "select a from t where x = 5;select 7"
    ).out.splitlines()
    assert one == again
    (found,) = json.loads(call("query", "fingerprint", "SELECT 1", "--json").out)
    assert two == f"{found['fingerprint']}  {found['normalized']}"


def test_explain_needs_a_server(call: Call) -> None:
    result = call("-s", "server.dsn=host=/nowhere", "query", "explain", "SELECT 1")
    assert 3 == result.code
    assert "cannot be reached" in result.line


def test_names_command_no_terminal(call: Call) -> None:
    text = 'SELECT * FROM "a\x1b[31m" WHERE b = NULL'
    for command in ("lint", "score", "fingerprint"):
        assert "\x1b" not in call("query", command, text).out
