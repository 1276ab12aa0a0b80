"""`dbopt migrate lint` of Alembic's revisions: places, markers, transactions, dbopt's own."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.integration.alembic_app import App, app
from tests.unit.cli.calls import Call, caller

BODY = """
op.execute("ALTER TABLE users DROP COLUMN name")
op.execute(
    '''
    SELECT 1;
    DROP TABLE old_users
    '''
)
op.create_index("users_mail", "users", ["mail"])
with op.get_context().autocommit_block():
    op.create_index("users_age", "users", ["age"], postgresql_concurrently=True)
"""
RULES = (
    "ban-drop-column", "ban-drop-table", "require-concurrent-index-creation",
    "ban-concurrent-index-creation-in-transaction", "ignore-without-reason",
)  # fmt: skip


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Call:
    monkeypatch.chdir(tmp_path)
    return caller(monkeypatch, capsys)


@pytest.fixture
def application(tmp_path: Path) -> App:
    return app(tmp_path)


def lint(call: Call, *words: str) -> tuple[int, list[dict[str, Any]]]:
    asked = [word for name in RULES for word in ("--rule", name)]
    result = call("migrate", "lint", "--alembic", "alembic.ini", "--json", *asked, *words)
    assert "" == result.err
    return result.code, json.loads(result.out)


def places(found: list[dict[str, Any]]) -> dict[str, tuple[str, int, int]]:
    return {
        one["rule"]: (one["file"], one["evidence"]["line"], one["evidence"]["column"])
        for one in found
    }


def test_findings_stand_in_the_revisions_file(call: Call, application: App) -> None:
    file = application.revision("one", BODY)
    code, found = lint(call)
    assert 1 == code
    lines = file.read_text().split("\n")

    def at(part: str) -> tuple[str, int, int]:
        number = next(n for n, line in enumerate(lines, 1) if part in line)
        return "db/versions/one.py", number, lines[number - 1].index(part) + 1

    assert {
        "ban-drop-column": at("DROP COLUMN"),
        "ban-drop-table": at("DROP TABLE old_users"),
        "require-concurrent-index-creation": at('op.create_index("users_mail"'),
    } == places(found)
    (table,) = (one for one in found if one["rule"] == "ban-drop-table")
    assert "one" == table["evidence"]["revision"]
    assert table["evidence"]["sql_line"] > 3


def test_annotations_of_a_revision(call: Call, application: App) -> None:
    application.revision("one", 'op.drop_table("t")')
    out = call("migrate", "lint", "--alembic", ".", "--format", "github",
               "--rule", "ban-drop-table").out  # fmt: skip
    assert out.startswith("::warning file=db/versions/one.py,line=12,col=5,title=ban-drop-table::")


def test_a_concurrent_build_needs_an_autocommit_block(call: Call, application: App) -> None:
    application.revision("one", 'op.create_index("a", "t", ["x"], postgresql_concurrently=True)')
    _, found = lint(call)
    assert ["ban-concurrent-index-creation-in-transaction"] == [one["rule"] for one in found]


def test_markers_in_python_and_in_sql(call: Call, application: App) -> None:
    application.revision(
        "one",
        """
# dbopt:ignore ban-drop-column nobody reads it since 3.2
op.execute("ALTER TABLE users DROP COLUMN name")
op.execute("-- dbopt:ignore ban-drop-table it is empty\\nDROP TABLE old_users")
op.create_index("a", "t", ["x"])  # dbopt:ignore require-concurrent-index-creation
""",
    )
    _, found = lint(call)
    assert {"ignore-without-reason": ("db/versions/one.py", 15, 1)} == places(found)


def test_a_marker_in_a_revision_that_windows_has_saved(call: Call, application: App) -> None:
    body = '# dbopt:ignore ban-drop-table old\nop.drop_table("a")\nop.drop_table("b")'
    file = application.revision("one", body)
    file.write_text(file.read_text(), encoding="utf-8-sig", newline="\r\n")
    assert ["14:5"] == [one["object"] for one in lint(call)[1]]


def test_a_range_and_files_as_well(call: Call, application: App) -> None:
    application.revision("one", 'op.drop_table("a")')
    application.revision("two", 'op.drop_table("b")', labels=("billing",))
    Path("three.sql").write_text("DROP TABLE c;")
    _, found = lint(call, "--range", "one:heads", "three.sql")
    assert ["three.sql", "db/versions/two.py"] == [one["file"] for one in found]


def test_the_section_of_an_alembic_ini(call: Call, application: App) -> None:
    application.revision("one", 'op.drop_table("a")')
    ini = Path("alembic.ini")
    ini.write_text(ini.read_text().replace("[alembic]", "[shop]"))
    assert 1 == lint(call, "--name", "shop")[0]
    result = call("migrate", "lint", "--alembic", "alembic.ini")
    assert (2, True) == (result.code, "is no configuration of Alembic" in result.line)


def test_a_do_block_of_a_revision(call: Call, application: App) -> None:
    block = "DO $$ BEGIN\n  DROP TABLE t;\nEND $$"
    file = application.revision("one", f"op.execute({block!r})")
    _, (found,) = lint(call)
    assert "ban-drop-table" == found["rule"]
    line = file.read_text().split("\n")[found["evidence"]["line"] - 1]
    assert line.strip().startswith("op.execute(")


def test_where_a_function_of_a_revision_is_called(call: Call, application: App) -> None:
    made = "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$ DROP TABLE t $$"
    file = application.revision("one", f'op.execute("{made}")\n\nop.execute("SELECT f()")')
    _, (found,) = lint(call)
    line = file.read_text().split("\n").index('    op.execute("SELECT f()")') + 1
    assert line == found["evidence"]["called_line"]
    assert found["message"].endswith(f"This is in f(), which is called in line {line}.")


def test_a_revision_that_needs_a_database_is_no_silence(call: Call, application: App) -> None:
    file = application.revision("one", "op.get_bind().scalar(1)")
    application.revision("two", 'op.drop_table("b")')
    code, found = lint(call)
    assert 2 == code
    assert ["not-rendered", "ban-drop-table"] == [one["rule"] for one in found]
    assert "12:5" == found[0]["object"]
    marked = file.read_text().replace(
        "def upgrade", "# dbopt:ignore not-rendered it moves data alone\ndef upgrade"
    )
    file.write_text(marked)
    assert 1 == lint(call)[0]


def test_an_env_py_that_connects(call: Call, application: App) -> None:
    application.environment(offline="False")
    application.revision("one", 'op.drop_table("b")')
    result = call("migrate", "lint", "--alembic", "alembic.ini")
    assert 2 == result.code
    assert "db/alembic/env.py:" in result.line
    assert "it connects to a database" in result.line
    assert "hunter2" not in result.out + result.err


def test_only_revisions_that_have_changed(call: Call, application: App) -> None:
    from tests.unit.cli.test_gitchanges import git

    application.revision("one", 'op.drop_table("a")')
    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-q", "-m", "one")
    application.revision("two", 'op.drop_table("b")')
    _, found = lint(call, "--since", "main")
    assert ["db/versions/two.py"] == [one["file"] for one in found]


def test_dbopts_own_revisions_are_clean(call: Call) -> None:
    result = call("migrate", "lint")
    assert (0, "") == (result.code, result.err), result.out


def test_a_revision_with_dbopts_operations_is_clean(call: Call, application: App) -> None:
    application.environment(imports="import dbopt.migrate.alembicops")
    application.revision("one", 'op.create_index_safely("users_age", "users", ["age"])')
    _, found = lint(call)
    assert [] == found


def test_what_is_cut_short_is_not_said_to_be_uncommitted(call: Call, application: App) -> None:
    application.revision(
        "one", 'op.drop_table("t")\nop.get_bind().execute(sa.text("SELECT 1")).scalar_one()'
    )
    result = call("migrate", "lint", "--alembic", "alembic.ini", "--json", "--fail-on", "never")
    found = {one["rule"] for one in json.loads(result.out)}
    assert {"not-rendered", "ban-drop-table"} <= found
    assert "ban-uncommitted-transaction" not in found
    assert 2 == result.code


def test_a_revision_that_commits(call: Call, application: App) -> None:
    file = application.revision(
        "one", 'op.execute("COMMIT")\nop.execute("ALTER TYPE m ADD VALUE \'n\'")'
    )
    words = ("migrate", "lint", "--alembic", "alembic.ini", "--json")
    (found,) = json.loads(call(*words, "--rule", "transaction-nesting").out)
    line = file.read_text().split("\n")[found["evidence"]["line"] - 1]
    assert '    op.execute("COMMIT")' == line
    assert found["message"].startswith("The revision ends the transaction that Alembic has opened")


def test_the_commands_of_the_document_run(call: Call, application: App) -> None:
    text = (Path(__file__).parents[2] / "docs/migration-lint.md").read_text(encoding="utf-8")
    block = text.split("```sh\n", 1)[1].split("```", 1)[0]
    commands = [shlex.split(line, comments=True)[1:] for line in block.splitlines()]
    assert len(commands) >= 5
    application.revision("3f1a", 'op.drop_table("t")')
    application.revision("two", 'op.add_column("u", sa.Column("a", sa.Text()))')
    for folder, statement in {
        "indexes": "CREATE INDEX i ON u (a);",
        "db/migrations": "TRUNCATE u;",
    }.items():
        Path(folder).mkdir(parents=True, exist_ok=True)
        Path(folder, "u.sql").write_text(statement)
    for words in commands:
        result = call(*words)
        assert result.code in (0, 1), (words, result.err)
        assert result.out
