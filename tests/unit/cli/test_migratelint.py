from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from dbopt.sql.migration.lint import RULES
from tests.unit.cli.calls import Call
from tests.unit.cli.test_gitchanges import git

DROP = "ALTER TABLE users DROP COLUMN name;\n"
FINE = "CREATE TABLE public.colours (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY);\n"
SECRET = "ALTER TABLE users ADD COLUMN level text NOT NULL DEFAULT random_of('hunter2');\n"


def write(name: str, text: str) -> None:
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_text(text, encoding="utf-8")


def rules_of(out: str) -> list[str]:
    return [one["rule"] for one in json.loads(out)]


def test_a_finding_has_its_place_and_a_remedy(call: Call) -> None:
    write("db/1.sql", "-- first\n" + DROP)
    result = call("migrate", "lint", "db", "--rule", "ban-drop-column")
    assert 1 == result.code
    first, line, carets, remedy, *_ = result.out.splitlines()
    assert first.startswith("db/1.sql:2:19 warning ban-drop-column: ")
    assert "  " + DROP.strip() == line
    assert line[carets.index("^") :].startswith("DROP COLUMN name;")
    assert remedy
    assert result.out.endswith("1 finding: 1 warning.\n")


def test_what_is_fine(call: Call) -> None:
    write("db/1.sql", FINE)
    result = call("migrate", "lint", "db/1.sql")
    assert (0, "No findings.\n") == (result.code, result.out)


def test_json(call: Call) -> None:
    write("db/1.sql", DROP)
    (found,) = json.loads(call("migrate", "lint", "db", "--json", "--rule", "ban-drop-column").out)
    assert ("db/1.sql", "ban-drop-column", "1:19", True) == tuple(
        found[name] for name in ("file", "rule", "object", "examined")
    )
    assert (1, 19, 1) == tuple(found["evidence"][n] for n in ("line", "column", "statement"))


def test_annotations_are_escaped(call: Call) -> None:
    write("db/a,b:c%.sql", DROP)
    out = call("migrate", "lint", "db", "--format", "github", "--rule", "ban-drop-column").out
    assert out.startswith("::warning file=db/a%2Cb%3Ac%25.sql,line=1,col=19,endLine=1,endColumn=")
    assert ",title=ban-drop-column::" in out
    assert 1 == out.count("\n")


def test_no_constant_is_shown(call: Call) -> None:
    write("db/1.sql", SECRET)
    for form in ("text", "json", "github"):
        result = call("migrate", "lint", "db", "--format", form)
        assert 1 == result.code
        assert "hunter2" not in result.out + result.err


BLOCK = """DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_class WHERE relname = 'users') THEN
  ALTER TABLE users ADD CONSTRAINT c CHECK (level <> 'hunter2');
  END IF;
END $$;
"""


def test_the_code_of_a_do_block_is_shown_and_its_constants_are_not(call: Call) -> None:
    write("db/1.sql", BLOCK)
    words = ("migrate", "lint", "db", "--rule", "constraint-missing-not-valid")
    out = call(*words).out
    assert "db/1.sql:4:25 critical constraint-missing-not-valid: Reads and writes of users" in out
    assert "ALTER TABLE users ADD CONSTRAINT c CHECK (level <> 'xxxxxxx')" in out
    assert "This is in a DO block." in out
    for form in ("text", "json", "github"):
        assert "hunter2" not in call(*words, "--format", form).out
    assert "hunter2" in call(*words, "--literals").out


def test_what_is_only_info_is_said_once(call: Call) -> None:
    write("db/1.sql", "CREATE TABLE t (a varchar(5), b varchar(6),\n c varchar(7));")
    words = ("migrate", "lint", "db", "--rule", "prefer-text-field")
    result = call(*words)
    assert 0 == result.code
    assert "The same at lines 1, 2." in result.out
    assert result.out.endswith("3 findings: 3 info. --fail-on info shows each.\n")
    assert "The same" not in call(*words, "--fail-on", "info").out


def test_a_file_that_says_nothing_yet(call: Call) -> None:
    write("db/1.sql", "-- later\n")
    for given in ("db", "db/1.sql"):
        result = call("migrate", "lint", given)
        assert (0, "No findings.\n") == (result.code, result.out)


def test_an_included_file_is_named_unless_it_is_linted_too(call: Call) -> None:
    write("db/all.sql", "\\ir 1.sql\n\\i db/2.sql\n\\i db/3.sql\n")
    for name in ("1", "2"):
        write(f"db/{name}.sql", FINE)
    told = [one["object"] for one in json.loads(call("migrate", "lint", "db", "--json").out)]
    assert ["3:1"] == told
    result = call("migrate", "lint", "db/all.sql")
    assert 0 == result.code
    assert "db/all.sql:1:1 What \\ir 1.sql runs has not been looked at." in result.out


CHECKED = "ALTER TABLE users ADD CONSTRAINT c CHECK (level <> 'hunter2');\n"


def test_the_safe_way_is_shown_as_sql_without_constants(call: Call) -> None:
    write("db/1.sql", CHECKED)
    words = ("migrate", "lint", "db", "--rule", "constraint-missing-not-valid")
    safe = "ALTER TABLE users ADD CONSTRAINT c CHECK (level <> '…') NOT VALID;"
    for form in ("text", "json", "github"):
        out = call(*words, "--format", form).out
        assert safe in out
        assert "hunter2" not in out
    (found,) = json.loads(call(*words, "--json").out)
    assert found["rewrite"].startswith(safe)
    assert "instead" not in found["evidence"]
    assert safe.replace("…", "hunter2") in call(*words, "--literals").out


def test_standard_input(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    given = SimpleNamespace(buffer=io.BytesIO(DROP.encode()), isatty=lambda: False)
    monkeypatch.setattr("sys.stdin", given)
    result = call("migrate", "lint", "-", "--rule", "ban-drop-column")
    assert 1 == result.code
    assert result.out.startswith("1:19 warning ban-drop-column: ")


def test_markers(call: Call) -> None:
    write("db/1.sql", f"-- dbopt:ignore all an empty table\n{DROP}")
    assert 0 == call("migrate", "lint", "db").code
    write("db/1.sql", f"-- squawk-ignore ban-drop-column\n{DROP}")
    result = call("migrate", "lint", "db", "--rule", "ban-drop-column")
    assert 0 == result.code


def test_what_cannot_be_read_is_not_fine(call: Call) -> None:
    write("db/1.sql", "ALTER TABLE users ADD CONSTRAINT CHECK;")
    result = call("migrate", "lint", "db")
    assert (2, True) == (result.code, "could not be read" in result.out)
    write("db/1.sql", "-- dbopt:ignore unread looked at\nALTER TABLE users ADD CONSTRAINT CHECK;")
    assert 0 == call("migrate", "lint", "db").code


def test_a_concurrent_build_is_not_for_a_transaction(call: Call) -> None:
    write("db/1.sql", "CREATE INDEX CONCURRENTLY IF NOT EXISTS a ON t (x);")
    name = "ban-concurrent-index-creation-in-transaction"
    assert [name] == rules_of(call("migrate", "lint", "db", "--json", "--rule", name).out)
    call_without = call("migrate", "lint", "db", "--json", "--rule", name, "--no-transaction")
    assert [] == rules_of(call_without.out)


def test_what_a_version_does(call: Call) -> None:
    write("db/1.sql", "ALTER TABLE t ADD COLUMN a bigint DEFAULT 5;")
    words = ("migrate", "lint", "db", "--json", "--rule", "adding-field-with-default")
    assert [] == rules_of(call(*words).out)
    assert ["adding-field-with-default"] == rules_of(call(*words, "--pg-version", "10").out)
    assert 2 == call(*words, "--pg-version", "9").code


def test_rules_that_are_asked_for(call: Call) -> None:
    write("db/1.sql", "CREATE TABLE t (id bigint);")
    off = next(rule for rule in RULES if rule.name == "require-table-schema")
    assert not off.default
    assert off.name not in rules_of(call("migrate", "lint", "db", "--json").out)
    included = call("migrate", "lint", "db", "--json", "--include", off.name).out
    assert off.name in rules_of(included)
    assert [off.name] == rules_of(call("migrate", "lint", "db", "--json", "--rule", off.name).out)
    both = ("--include", off.name, "--ignore", off.name)
    assert off.name not in rules_of(call("migrate", "lint", "db", "--json", *both).out)
    result = call("migrate", "lint", "db", "--rule", "require-table-schemas")
    assert 2 == result.code
    assert "Did you mean require-table-schema?" in result.err


def test_rules_are_listed(call: Call) -> None:
    listed = json.loads(call("migrate", "lint", "--rules", "--json").out)
    assert [rule.name for rule in RULES] == [one["name"] for one in listed]


def test_only_what_has_changed(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    git("init", "-q", "-b", "main")
    write("db/1.sql", DROP)
    git("add", ".")
    git("commit", "-q", "-m", "one")
    write("db/2.sql", "ALTER TABLE users DROP COLUMN age;")
    words = ("migrate", "lint", "db", "--rule", "ban-drop-column", "--json")
    assert {"db/1.sql", "db/2.sql"} == {one["file"] for one in json.loads(call(*words).out)}
    result = call(*words, "--since", "main")
    assert ["db/2.sql"] == [one["file"] for one in json.loads(result.out)]
    Path("db/2.sql").unlink()
    assert 0 == call(*words, "--since", "main").code
    assert 2 == call(*words, "--since", "nothing").code


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nothing.sql",), "nothing.sql: there is no such file or folder."),
        (("DROP TABLE t",), "DROP TABLE t: there is no such file or folder."),
        (("--range", "a:b", "db"), "--range is of Alembic's revisions."),
        (("-x", "a=b", "db"), "-x is of Alembic's revisions."),
        (("--name", "shop"), "--name is of Alembic's revisions."),
        (("--alembic", "db"), "db: holds no alembic.ini"),
    ],
)
def test_what_cannot_be_read(call: Call, words: tuple[str, ...], message: str) -> None:
    write("db/1.sql", DROP)
    result = call("migrate", "lint", *words)
    assert 2 == result.code
    assert message in result.err


def test_nobody_is_connected_to(call: Call) -> None:
    write("db/1.sql", FINE)
    assert 0 == call("--dsn", "host=/nowhere", "migrate", "lint", "db").code
