"""`dbopt index revision`: revisions in an application's environment, run by plain Alembic."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import psycopg
import pytest
from alembic.script import ScriptDirectory
from click.testing import CliRunner, Result
from psycopg.conninfo import make_conninfo

from dbopt.cli.root import root
from dbopt.errors import MigrationError, MigrationRefused, UsageError
from tests.integration.alembic_support import ENV, Application, url_of
from tests.integration.test_alembic_operations import TABLE, indexes

DECLARED = """
-- why: the list of those who have gone, newest first, as the moderators see it
-- dbopt: owner=team-moderation expires=2099-12-31
CREATE INDEX people_gone ON people (gone, id DESC)
    WHERE gone AND mail <> 'it''s "x"\\n';
CREATE UNIQUE INDEX people_mail ON people (lower(mail));
"""


@pytest.fixture
def app(
    tmp_path: Path, pg_dsn: str, pg_conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> Application:
    made = Application.make(tmp_path, url_of(pg_dsn), more="file_template = %%(rev)s-%%(slug)s\n")
    made.revision("a1", TABLE, 'op.execute("DROP TABLE people")', labels=("shop",))
    made.upgrade()
    (tmp_path / "indexes").mkdir()
    (tmp_path / "indexes/people.sql").write_text(DECLARED)
    monkeypatch.chdir(tmp_path)
    return made


def revise(dsn: str, *arguments: str) -> Result:
    command = ["--dsn", dsn, "index", "revision", "-m", "the indexes", *arguments]
    return CliRunner().invoke(root, command, catch_exceptions=True)


def test_it_is_written_as_the_application_has_it_and_runs(
    app: Application, pg_dsn: str, pg_conn: psycopg.Connection
) -> None:
    done = revise(pg_dsn, "--rev-id", "b2")

    assert done.exit_code == 0, done.output
    text = (app.versions / "b2-the_indexes.py").read_text()
    ast.parse(text)
    assert "down_revision = 'a1'" in text
    assert max(map(len, text.splitlines())) <= 88
    assert text.count("    with op.get_context().autocommit_block():\n        ") == 2
    assert "        # the list of those who have gone" in text
    assert "# owner team-moderation, until 2099-12-31" in text
    assert "indexes/people.sql:4" in text

    app.upgrade()
    before = indexes(pg_conn)
    assert [valid for _, valid in before.values()] == [True, True]
    assert """'it''s "x"\\n'""" in before["people_gone"][0]
    assert "Nothing to do" in revise(pg_dsn).output
    app.downgrade("a1")
    assert indexes(pg_conn) == {}
    assert app.upgrade("a1:b2", sql=True).count(" INDEX CONCURRENTLY ") == 2
    assert app.downgrade("b2:a1", sql=True).count(" INDEX CONCURRENTLY ") == 2
    arguments = ["migrate", "lint", "--alembic", "alembic.ini", "--range", "a1:b2"]
    linted = CliRunner().invoke(root, arguments)
    assert linted.exit_code == 0, linted.output


def test_nothing_to_do_writes_nothing(
    app: Application, pg_dsn: str, pg_conn: psycopg.Connection
) -> None:
    pg_conn.execute("CREATE UNIQUE INDEX people_mail ON people (lower(mail))")
    done = revise(pg_dsn, "--only", "people_mail", "--json")
    assert (done.exit_code, json.loads(done.output)) == (
        0,
        {"revision": None, "path": None, "operations": []},
    )
    assert [path.name for path in app.versions.glob("*.py")] == ["a1.py"]


def test_what_is_there_already_goes_back_to_what_it_was(
    app: Application, pg_dsn: str, pg_conn: psycopg.Connection
) -> None:
    pg_conn.execute("CREATE INDEX people_gone ON people (gone)")
    pg_conn.execute("CREATE UNIQUE INDEX old_name ON people (lower(mail))")
    was = indexes(pg_conn)

    done = revise(pg_dsn, "--rev-id", "b2")

    assert done.exit_code == 0, done.output
    text = (app.versions / "b2-the_indexes.py").read_text()
    assert "replaces people_gone" in text
    assert "renames old_name" in text
    app.upgrade()
    assert sorted(indexes(pg_conn)) == ["people_gone", "people_mail"]
    assert "lower" in indexes(pg_conn)["people_mail"][0]
    app.downgrade("a1")
    assert indexes(pg_conn) == was


def test_a_store_that_is_away_is_told_since_no_drop_is_looked_for(
    app: Application, pg_dsn: str
) -> None:
    away = ["-s", "store.dsn=host=127.0.0.1 port=1", "--dsn", pg_dsn]
    done = CliRunner().invoke(root, [*away, "index", "revision", "-m", "the indexes"])

    assert done.exit_code == 0, done.output
    assert "Not examined: which indexes dbopt manages" in done.stderr


def test_another_applications_indexes_are_left_alone(
    app: Application, pg_dsn: str, pg_conn: psycopg.Connection, tmp_path: Path
) -> None:
    pg_conn.execute("CREATE TABLE pets (id int)")
    (tmp_path / "others").mkdir()
    (tmp_path / "others/pets.sql").write_text("CREATE INDEX pets_id ON pets (id);")
    others = ["--dsn", pg_dsn, "-s", "index.directory=others", "index", "apply", "--yes"]
    assert CliRunner().invoke(root, others).exit_code == 0

    done = revise(pg_dsn, "--json")

    assert [name for _, name in json.loads(done.stdout)["operations"]] == [
        "people_gone",
        "people_mail",
    ]


def test_nothing_declared_is_no_revision_that_drops_all(
    app: Application, pg_dsn: str, pg_conn: psycopg.Connection
) -> None:
    """As in a wrong directory."""
    options = ["-s", "index.project=shop", "--dsn", pg_dsn, "index"]
    assert CliRunner().invoke(root, [*options, "apply", "--yes"]).exit_code == 0
    (app.place / "indexes/people.sql").unlink()
    done = CliRunner().invoke(root, [*options, "revision", "-m", "none"])
    assert isinstance(done.exception, MigrationRefused)
    assert "2 that dbopt manages would be dropped" in str(done.exception)


def test_branches_heads_and_several_places(
    app: Application, pg_dsn: str, pg_conn: psycopg.Connection
) -> None:
    ini = app.place / "alembic.ini"
    places = "%(here)s/alembic/versions:%(here)s/other"
    ini.write_text(ini.read_text() + f"version_locations = {places}\n")
    app.revision("o1", "pass", labels=("other",), folder="other")

    nowhere = revise(pg_dsn, "--offline")
    assert isinstance(nowhere.exception, UsageError)
    assert "Give --branch or --head" in str(nowhere.exception)
    on = revise(
        pg_dsn, "--offline", "--branch", "shop", "--only", "people_mail", "--rev-id", "a2", "--json"
    )
    assert Path(json.loads(on.output)["path"]).parent == app.versions
    split = revise(pg_dsn, "--offline", "--head", "a1", "--only", "people_gone", "--rev-id", "a3")
    assert "splice" in str(split.exception)
    spliced = revise(
        pg_dsn, "--offline", "--head", "a1", "--splice", "--only", "people_gone", "--rev-id", "a3"
    )
    assert spliced.exit_code == 0, spliced.output
    new = revise(
        pg_dsn, "--offline", "--branch", "indexes", "--version-path", str(app.place / "other"),
        "--depends-on", "a1", "--rev-id", "n1",
    )  # fmt: skip
    assert new.exit_code == 0, new.output
    script = ScriptDirectory.from_config(app.config())
    assert set(script.get_heads()) == {"a2", "a3", "o1", "n1"}
    made = script.get_revision("n1")
    assert (made.branch_labels, made.dependencies) == ({"indexes"}, "a1")

    app.upgrade("heads")
    assert sorted(indexes(pg_conn)) == ["people_gone", "people_mail"]


@pytest.mark.parametrize("more", ["", "version_table='shop', version_table_schema='tenant', "])
def test_a_revision_that_is_not_applied_is_not_written_again(
    app: Application, pg_dsn: str, pg_conn: psycopg.Connection, more: str
) -> None:
    """Whatever the version table is called; another application's is none of ours."""
    env = app.place / "alembic/env.py"
    env.write_text(env.read_text().replace("configure(", f"configure({more}"))
    pg_conn.execute("DROP TABLE people, alembic_version; CREATE SCHEMA tenant")
    app.upgrade()
    pg_conn.execute(
        "CREATE SCHEMA others CREATE TABLE alembic_version (version_num text PRIMARY KEY)"
    )
    pg_conn.execute("INSERT INTO others.alembic_version VALUES ('theirs')")
    assert revise(pg_dsn, "--only", "people_mail", "--rev-id", "b2").exit_code == 0

    again = revise(pg_dsn)

    assert isinstance(again.exception, MigrationRefused)
    assert str(again.exception).startswith("The database is not up to date: it lacks b2, whose")
    assert "alembic upgrade head" in str(again.exception)
    app.upgrade()
    assert revise(pg_dsn, "--rev-id", "b3").exit_code == 0
    app.upgrade()
    assert sorted(indexes(pg_conn)) == ["people_gone", "people_mail"]


def test_of_a_branch_only_its_own_revisions_must_be_applied(app: Application, pg_dsn: str) -> None:
    app.revision("o1", "pass", labels=("other",))
    assert "it lacks o1, whose" in str(revise(pg_dsn).exception)
    assert "it lacks o1, whose" in str(revise(pg_dsn, "--branch", "new").exception)
    assert revise(pg_dsn, "--branch", "shop", "--rev-id", "a2").exit_code == 0
    assert "it lacks a2, whose" in str(revise(pg_dsn, "--branch", "shop").exception)


def test_without_a_database_all_are_written(app: Application) -> None:
    done = revise("host=127.0.0.1 port=1", "--offline", "--rev-id", "b2")
    assert done.exit_code == 0, done.output
    assert (app.versions / "b2-the_indexes.py").read_text().count("op.create_index_safely(") == 2


def test_an_environment_that_runs_for_revisions(app: Application, pg_dsn: str) -> None:
    """revision_environment: script.py.mako may need what env.py says."""
    ini = app.place / "alembic.ini"
    ini.write_text(ini.read_text() + "revision_environment = true\n")
    env = app.place / "alembic/env.py"
    env.write_text(env.read_text() + "\nprint('env.py was here')\n")

    done = revise(pg_dsn, "--rev-id", "b2", "--json")

    assert json.loads(done.output)["revision"] == "b2"
    text = (app.versions / "b2-the_indexes.py").read_text()
    assert "import dbopt.migrate.alembicops" in text
    app.upgrade()
    app.downgrade("a1")


def test_an_environment_in_pyproject(
    tmp_path: Path, pg_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "db/versions").mkdir(parents=True)
    (tmp_path / "indexes").mkdir()
    (tmp_path / "indexes/a.sql").write_text("CREATE INDEX a ON people (id);")
    (tmp_path / "pyproject.toml").write_text('[tool.alembic]\nscript_location = "%(here)s/db"\n')
    (tmp_path / "db/env.py").write_text(ENV)
    app = Application.make(tmp_path / "app", url_of(pg_dsn))
    (tmp_path / "db/script.py.mako").write_text((app.place / "alembic/script.py.mako").read_text())
    monkeypatch.chdir(tmp_path)
    done = revise(pg_dsn, "--offline", "--rev-id", "b2")
    assert done.exit_code == 0, done.output
    assert [path.name for path in (tmp_path / "db/versions").glob("*.py")] == ["b2_the_indexes.py"]


def written(app: Application) -> str:
    """The one revision that was written, but for the tables'."""
    (path,) = (path for path in app.versions.glob("*.py") if path.name != "a1.py")
    return path.read_text()


MULTI = """
% for name in config.get_main_option("databases").split(", "):
def upgrade_${name}():
    ${context.get(name + "_upgrades", "pass")}


def downgrade_${name}():
    ${context.get(name + "_downgrades", "pass")}
% endfor
"""


@pytest.mark.parametrize("runs_env", [False, True])
def test_an_environment_of_several_databases(app: Application, runs_env: bool) -> None:
    """Alembic's template "multidb": operations without a database's name would be lost."""
    ini, mako = app.place / "alembic.ini", app.place / "alembic/script.py.mako"
    more = "databases = one, two\n" + ("revision_environment = true\n" if runs_env else "")
    ini.write_text(ini.read_text() + more)
    mako.write_text(mako.read_text().partition("def upgrade")[0] + MULTI)
    env = app.place / "alembic/env.py"
    again = """
        for name in ("one", "two"):
            context.configure(
                connection=connection, upgrade_token=name + "_upgrades",
                downgrade_token=name + "_downgrades",
            )
            context.run_migrations()
"""
    env.write_text(env.read_text().partition("        context.configure(\n")[0] + again)

    lost = revise("", "--offline")
    assert isinstance(lost.exception, UsageError)
    assert "--engine NAME, here one of one, two" in str(lost.exception)
    assert [path.name for path in app.versions.glob("*.py")] == ["a1.py"]
    done = revise("", "--offline", "--engine", "two")

    assert done.exit_code == 0, done.output
    one, _, two = written(app).partition("def upgrade_two")
    assert "index_safely(" not in one
    assert two.count("create_index_safely(") == two.count("drop_index_safely(") == 2


def test_a_hook_of_the_environment_that_looks_at_alembics_options(app: Application) -> None:
    """As in Alembic's cookbook: "Don't Generate Empty Migrations with Autogenerate"."""
    ini, env = app.place / "alembic.ini", app.place / "alembic/env.py"
    ini.write_text(ini.read_text() + "revision_environment = true\n")
    hook = """
def keep(migration, revision, directives):
    if context.config.cmd_opts.autogenerate and directives[0].upgrade_ops.is_empty():
        directives[:] = []

"""
    text = env.read_text().replace("URL =", f"{hook}URL =")
    text = text.replace(
        "transaction_per_migration", "process_revision_directives=keep, transaction_per_migration"
    )
    env.write_text(text)
    done = revise("", "--offline")
    assert done.exit_code == 0, (done.output, done.exception)
    assert written(app).count("create_index_safely(") == 2


def test_an_environment_that_fails_is_told_without_its_words(app: Application) -> None:
    ini, env = app.place / "alembic.ini", app.place / "alembic/env.py"
    ini.write_text(ini.read_text() + "revision_environment = true\n")
    env.write_text("raise ValueError('postgresql://app:hunter2@db/app')\n")
    done = revise("", "--offline")
    assert isinstance(done.exception, UsageError)
    assert str(done.exception).startswith(f"{env}:1: the revision cannot be written: ValueError.")
    assert "hunter2" not in str(done.exception)


def test_the_environment_that_flask_migrate_makes_is_found(app: Application) -> None:
    """`migrations/`, with an alembic.ini that does not say where env.py is."""
    place = app.place / "migrations"
    (app.place / "alembic").rename(place)
    (app.place / "alembic.ini").unlink()
    (place / "alembic.ini").write_text("[alembic]\n")
    (place / "env.py").write_text("from flask import current_app\n")
    done = revise("", "--offline", "--rev-id", "b2")
    assert done.exit_code == 0, (done.output, done.exception)
    assert sorted(path.name for path in place.glob("versions/*.py")) == [
        "a1.py",
        "b2_the_indexes.py",
    ]


@pytest.mark.parametrize("message", ['the "list"', 'a """ b', "a path\\"])
def test_a_message_that_is_no_docstring_is_refused(app: Application, message: str) -> None:
    """Alembic would write it, and no command of its would run any more."""
    command = ["index", "revision", "--offline", "-m", message]
    done = CliRunner().invoke(root, command, catch_exceptions=True)
    assert isinstance(done.exception, UsageError)
    assert "docstring" in str(done.exception)
    assert [path.name for path in app.versions.glob("*.py")] == ["a1.py"]


def test_where_no_environment_may_be_written_to_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "indexes").mkdir()
    (tmp_path / "indexes/a.sql").write_text("CREATE INDEX a ON people (id);")
    monkeypatch.chdir(tmp_path)
    done = revise("", "--offline")
    assert isinstance(done.exception, UsageError)
    assert "dbopt init" in str(done.exception)


def test_a_conflict_is_no_revision(
    app: Application, pg_dsn: str, pg_conn: psycopg.Connection
) -> None:
    pg_conn.execute("ALTER TABLE people ADD CONSTRAINT people_mail UNIQUE (mail)")
    done = revise(pg_dsn)
    assert isinstance(done.exception, MigrationError)
    assert "people_mail" in str(done.exception)
    assert [path.name for path in app.versions.glob("*.py")] == ["a1.py"]


def test_a_session_that_may_only_read_is_refused_as_an_apply_is(
    app: Application, pg_dsn: str
) -> None:
    done = revise(make_conninfo(pg_dsn, options="-c default_transaction_read_only=on"))
    assert isinstance(done.exception, MigrationRefused)
    assert "only read (default_transaction_read_only)" in str(done.exception)
