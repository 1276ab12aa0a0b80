from __future__ import annotations

import json
from pathlib import Path

import pytest

from dbopt.migrate.indexrules import RULES
from tests.unit.cli.calls import Call

GOOD = "-- why: signing in\nCREATE INDEX users_email_idx ON public.users (email);\n"
REDUNDANT = GOOD + "-- why: a list\nCREATE INDEX both ON public.users (email, name);\n"


def write(text: str, name: str = "indexes/users.sql") -> None:
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_text(text, encoding="utf-8")


def test_what_is_fine(call: Call) -> None:
    write(GOOD)
    result = call("index", "lint")
    assert 0 == result.code
    assert result.out.endswith("No findings.\n")
    assert "Not examined without a database: boolean-key, " in result.out


def test_a_finding_has_its_place(call: Call) -> None:
    write(REDUNDANT)
    result = call("index", "lint")
    assert 1 == result.code
    first, line, carets, *_ = result.out.splitlines()
    assert first == (
        'indexes/users.sql:2:1 warning redundant-index: All that "users_email_idx" serves, '
        '"both" (indexes/users.sql:4) serves too.'
    )
    assert "  CREATE INDEX users_email_idx ON public.users (email);" == line
    assert len("CREATE INDEX users_email_idx ON public.users (email)") == carets.count("^")


def test_json(call: Call) -> None:
    write(REDUNDANT)
    (found, *unexamined) = json.loads(call("index", "lint", "--json").out)
    assert ("redundant-index", "warning", "2:1", "indexes/users.sql", True) == tuple(
        found[name] for name in ("rule", "severity", "object", "file", "examined")
    )
    assert {"index": "users_email_idx", "table": "users", "covered_by": "both"} == {
        name: found["evidence"][name] for name in ("index", "table", "covered_by")
    }
    assert {one["rule"] for one in unexamined} == {r.name for r in RULES if r.needs_schema}


def test_annotations(call: Call) -> None:
    write(REDUNDANT)
    out = call("index", "lint", "--format", "github").out
    assert out.startswith(
        "::warning file=indexes/users.sql,line=2,col=1,endLine=2,endColumn=53,"
        "title=redundant-index::"
    )
    assert 1 == out.count("\n")


def test_a_marker_takes_a_finding_back(call: Call) -> None:
    write(f"-- dbopt:ignore redundant-index it is small and hot\n{REDUNDANT}")
    assert 0 == call("index", "lint").code


def test_what_cannot_be_read_is_a_finding_and_the_rest_is_read(call: Call) -> None:
    write(REDUNDANT)
    write("CREATE INDEX broken ON\n  orders total;", "indexes/orders.sql")
    write("CREATE TABLE t (a int);", "indexes/t.sql")
    result = call("index", "lint")
    assert 2 == result.code
    assert 'indexes/orders.sql:2:10 critical syntax: expected "(", found "total".' in result.out
    assert "indexes/t.sql:1:8 critical syntax: " in result.out
    assert "indexes/users.sql:2:1 warning redundant-index" in result.out


def test_no_text_at_all(call: Call) -> None:
    Path("indexes").mkdir()
    Path("indexes/a.sql").write_bytes(b"CREATE INDEX \xff")
    result = call("index", "lint")
    assert 2 == result.code
    assert "indexes/a.sql:1:1 critical syntax: cannot be read" in result.out


def test_severities_that_count(call: Call) -> None:
    write("CREATE INDEX a ON t (x);")
    assert 0 == call("index", "lint").code
    assert 1 == call("index", "lint", "--fail-on", "info").code
    write(REDUNDANT)
    assert 0 == call("index", "lint", "--fail-on", "critical").code
    assert 0 == call("index", "lint", "--fail-on", "never").code


def test_rules_that_are_asked_for(call: Call) -> None:
    write(REDUNDANT)
    assert 0 == call("index", "lint", "--rule", "too-many-columns").code
    assert 0 == call("index", "lint", "--ignore", "redundant-index").code
    result = call("index", "lint", "--rule", "redundant-indexes")
    assert 2 == result.code
    assert "Did you mean redundant-index?" in result.err


def test_rules_are_listed(call: Call) -> None:
    listed = json.loads(call("index", "lint", "--rules", "--json").out)
    assert [rule.name for rule in RULES] == [one["name"] for one in listed]
    assert "redundant-index" in call("index", "lint", "--rules").out


def test_files_that_are_named(call: Call) -> None:
    write(REDUNDANT, "indexes/a.sql")
    write(GOOD, "indexes/b.sql")
    assert 0 == call("index", "lint", "indexes/b.sql").code
    assert 1 == call("index", "lint", "indexes/b.sql", "indexes/a.sql").code
    result = call("index", "lint", "indexes/c.sql")
    assert (2, 1) == (result.code, result.err.count("there is no such file"))


def test_a_pattern_for_names(call: Call) -> None:
    write(GOOD)
    assert 0 == call("-s", "migrate.index_names={table}_.*_idx", "index", "lint").code
    assert 1 == call("-s", "migrate.index_names=ix_.*", "index", "lint").code
    result = call("-s", "migrate.index_names=(", "index", "lint")
    assert 2 == result.code
    assert "migrate.index_names: is no regular expression" in result.line


@pytest.mark.parametrize("words", [("--dsn", "host=/nowhere"), ("--with-database",)])
def test_a_database_only_when_it_is_asked_for(call: Call, words: tuple[str, ...]) -> None:
    write(GOOD)
    assert 0 == call("--dsn", "host=/nowhere", "index", "lint").code
    assert 3 == call("-s", "server.dsn=host=/nowhere", "index", "lint", *words).code


def test_what_is_only_info_is_said_once(call: Call) -> None:
    write("\n".join(f"CREATE INDEX u{n} ON users ({name});" for n, name in enumerate("abc")))
    brief = call("index", "lint").out.splitlines()
    whole = call("index", "lint", "--fail-on", "info")

    assert brief[0] == (
        'indexes/users.sql:1:1 info nobody-knows-why: Neither a reason nor an owner of "u0" is '
        "said. The same at lines 2, 3."
    )
    assert "4 findings: 4 info. --fail-on info shows each." == brief[-1]
    assert not any("^" in line for line in brief)
    assert (1, 3) == (whole.code, whole.out.count("nobody-knows-why"))
    assert "shows each" not in whole.out


def test_what_is_only_info_is_said_once_for_all_files(call: Call) -> None:
    for name in "abc":
        write(f"CREATE INDEX {name} ON public.{name} (id);", f"indexes/{name}.sql")
    out = call("index", "lint").out

    assert 1 == out.count("nobody-knows-why")
    assert "is said. The same in 2 other files." in out
