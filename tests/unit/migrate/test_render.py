from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

from dbopt.errors import UsageError
from dbopt.migrate.application import application_config
from dbopt.migrate.render import Rendered, render
from tests.integration.alembic_app import App, app

ADD = 'op.add_column("t", sa.Column("c", sa.Text()))'
CREATE = 'op.create_table("t", sa.Column("id", sa.BigInteger(), primary_key=True))'
INDEX = """
with op.get_context().autocommit_block():
    op.create_index("t_c", "t", ["c"], postgresql_concurrently=True)
op.execute('''
    UPDATE t SET c = 'x';
    -- done
''')
"""


@pytest.fixture
def application(tmp_path: Path) -> App:
    return app(tmp_path)


def rendered(application: App, chosen: str = "") -> dict[str, Rendered]:
    return {one.revision: one for one in render(application_config(application.ini), chosen)}


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if line.strip()]


def test_each_revision_by_itself_without_alembics_own(application: App) -> None:
    application.revision("one", CREATE)
    application.revision("two", ADD)
    found = rendered(application)
    assert ["one", "two"] == list(found)
    one, two = found.values()
    assert ["BEGIN;", "CREATE TABLE t (", "id BIGSERIAL NOT NULL,", "PRIMARY KEY (id)", ");",
            "COMMIT;"] == lines(one.sql)  # fmt: skip
    assert ["BEGIN;", "ALTER TABLE t ADD COLUMN c TEXT;", "COMMIT;"] == lines(two.sql)
    assert ("", 0) == (one.error, two.error_line)


def test_an_autocommit_block_is_outside_the_transaction(application: App) -> None:
    application.revision("one", INDEX)
    (one,) = rendered(application).values()
    assert [
        "BEGIN;", "COMMIT;", "CREATE INDEX CONCURRENTLY t_c ON t (c);", "BEGIN;",
        "UPDATE t SET c = 'x';", "-- done", ";", "COMMIT;",
    ] == lines(one.sql)  # fmt: skip


def test_a_transaction_for_all_revisions(application: App) -> None:
    application.environment(configure="")
    application.revision("one", CREATE)
    application.revision("two", ADD)
    two = rendered(application)["two"]
    assert ["BEGIN;", "ALTER TABLE t ADD COLUMN c TEXT;", "COMMIT;"] == lines(two.sql)


def test_what_env_py_sends_first_is_there(application: App) -> None:
    application.environment(before="context.execute(\"SET lock_timeout = '2s'\")")
    application.revision("one", ADD)
    (one,) = rendered(application).values()
    # Before the transaction of the revision: it is no SET LOCAL.
    assert [
        "SET lock_timeout = '2s';", "BEGIN;", "ALTER TABLE t ADD COLUMN c TEXT;", "COMMIT;",
    ] == lines(one.sql)  # fmt: skip


def test_the_lines_of_the_revisions_file(application: App) -> None:
    file = application.revision("one", f"{ADD}\n{INDEX}")
    (one,) = rendered(application).values()
    text = file.read_text().split("\n")
    where = {piece.text.split("\n")[0].strip(): text[piece.line - 1].strip()
             for piece in one.pieces if piece.line}  # fmt: skip
    assert ADD == where["ALTER TABLE t ADD COLUMN c TEXT;"]
    assert where["CREATE INDEX CONCURRENTLY t_c ON t (c);"].startswith("op.create_index(")
    offset = one.sql.index("UPDATE t")
    piece, start = one.piece_at(offset)
    assert piece.text[offset - start :].startswith("UPDATE t")
    assert "op.execute('''" == text[piece.line - 1].strip()


def test_a_semicolon_behind_a_comment_ends_the_statement(application: App) -> None:
    body = 'op.execute("DROP TABLE a -- dbopt:ignore ban-drop-table why")\nop.execute("SELECT 1")'
    application.revision("one", body)
    (one,) = rendered(application).values()
    assert [
        "BEGIN;", "DROP TABLE a -- dbopt:ignore ban-drop-table why", ";", "SELECT 1;", "COMMIT;",
    ] == lines(one.sql)  # fmt: skip


def test_branches_and_merges(application: App) -> None:
    application.revision("root", CREATE)
    application.revision("left", ADD, down="root", labels=("billing",))
    application.revision("right", ADD.replace('"c"', '"d"'), down="root", folder="more")
    application.revision("merge", 'op.drop_column("t", "c")', down=("left", "right"))
    found = rendered(application)
    assert {"root", "left", "right", "merge"} == set(found)
    assert "DROP COLUMN c" in found["merge"].sql
    assert "alembic_version" not in "".join(one.sql for one in found.values())
    assert ["right"] == [*rendered(application, "root:right")]
    assert {"left", "right", "merge"} == set(rendered(application, "root:billing@head"))
    assert ["root", "left"] == [*rendered(application, ":left")]


def test_two_roots(application: App) -> None:
    application.revision("one", CREATE)
    application.revision("other", ADD, down=None, folder="more")
    assert {"one", "other"} == set(rendered(application))


def test_a_range_that_is_none(application: App) -> None:
    application.revision("one", CREATE)
    with pytest.raises(UsageError, match=r"Alembic: .*nothing"):
        rendered(application, "nothing:heads")


def test_an_environment_without_revisions(application: App) -> None:
    with pytest.raises(UsageError, match="there are no revisions"):
        rendered(application)


def test_only_files_that_are_wanted(application: App) -> None:
    application.revision("one", CREATE)
    two = application.revision("two", ADD)
    config = application_config(application.ini)
    assert ["two"] == [one.revision for one in render(config, wanted=lambda file: file == two)]


def test_a_revision_that_needs_a_database(application: App) -> None:
    application.revision("one", 'op.get_bind().execute(sa.text("SELECT 1")).scalar_one()')
    application.revision("two", ADD)
    one, two = rendered(application).values()
    assert ("AttributeError.", 12) == (one.error, one.error_line)
    assert "" == two.error


def test_an_env_py_that_connects_is_refused_and_says_no_address(application: App) -> None:
    application.environment(offline="False")
    application.revision("one", CREATE)
    with pytest.raises(UsageError, match=r"env\.py:\d+: cannot run offline: it connects") as error:
        rendered(application)
    assert "hunter2" not in str(error.value)
    assert "context.is_offline_mode()" in error.value.hint


def test_a_relative_script_location_names_env_py_too(
    application: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    application.environment(offline="False")
    application.revision("one", CREATE)
    application.ini.write_text(application.ini.read_text().replace("%(here)s/", ""))
    monkeypatch.chdir(application.where)
    with pytest.raises(UsageError, match=r"^db/alembic/env\.py:\d+: cannot run offline"):
        render(application_config(Path("alembic.ini")))


def test_an_env_py_that_does_nothing_offline(application: App) -> None:
    application.environment(offline="None", configure="", before="pass")
    env = application.where / "db/alembic/env.py"
    env.write_text("from alembic import context\nprint(context.is_offline_mode())\n")
    application.revision("one", CREATE)
    with pytest.raises(UsageError, match="cannot run offline: it runs no migrations there"):
        rendered(application)


def test_an_environment_of_several_databases(application: App) -> None:
    application.environment()
    env = application.where / "db/alembic/env.py"
    env.write_text(
        """
import io
from alembic import context
for name in ("users", "orders"):
    # As Alembic's template does: each has a file of its own.
    context.configure(dialect_name="postgresql", output_buffer=io.StringIO())
    with context.begin_transaction():
        context.run_migrations(engine_name=name)
"""
    )
    path = application.revision("one", 'op.execute(f"SELECT {engine_name}()")')
    path.write_text(path.read_text().replace("def upgrade()", "def upgrade(engine_name)"))
    (one,) = rendered(application).values()
    assert ["SELECT users();", "SELECT orders();"] == [
        line for line in lines(one.sql) if line.startswith("SELECT")
    ]


@pytest.mark.parametrize(
    ("imports", "message"),
    [
        ("raise RuntimeError('postgresql://app:hunter2@db')", "cannot run offline: RuntimeError"),
        ("import surely_not_there", "cannot run offline: ModuleNotFoundError"),
        ("def (", "cannot run offline: SyntaxError"),
        ("raise SystemExit(3)", "cannot run offline: SystemExit"),
    ],
)
def test_an_env_py_that_fails(application: App, imports: str, message: str) -> None:
    application.environment(imports=imports)
    application.revision("one", CREATE)
    with pytest.raises(UsageError, match=message) as error:
        rendered(application)
    assert str(application.where / "db/alembic/env.py") in str(error.value)
    assert "hunter2" not in str(error.value)


def test_a_revision_that_cannot_be_loaded(application: App) -> None:
    path = application.revision("one", CREATE)
    path.write_text("import surely_not_there")
    with pytest.raises(UsageError, match="the revisions cannot be loaded: ModuleNotFoundError"):
        rendered(application)


def test_what_the_application_prints_and_logs_stays_inside(
    application: App, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (logging.getLogger().handlers[:], logging.getLogger().level, sys.path[:])
    application.environment(
        imports="import logging, sys\nprint('hunter2')\nprint('hunter2', file=sys.stderr)"
    )
    application.revision("one", f"{CREATE}\nimport logging\nlogging.error('hunter2')")
    assert "" == rendered(application)["one"].error
    assert ("", "") == tuple(capsys.readouterr())
    assert before == (logging.getLogger().handlers, logging.getLogger().level, sys.path)
    assert not logging.getLogger("dbopt").disabled


def test_arguments_of_alembic_reach_env_py(application: App) -> None:
    application.environment(
        before="context.execute('SET ' + context.get_x_argument(as_dictionary=True)['set'])"
    )
    application.revision("one", ADD)
    (one,) = render(application_config(application.ini, ["set=a.b = 1"]))
    assert "SET a.b = 1;" == lines(one.sql)[0]


MULTIDB = """
from alembic import context
for name in ("one", "two"):
    with open(name + ".sql", "w") as buffer:
        context.configure(dialect_name="postgresql", output_buffer=buffer)
        with context.begin_transaction():
            context.run_migrations()
"""


def test_several_databases_with_a_file_each(
    application: App, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("one.sql").write_text("kept")
    (application.ini.parent / "db/alembic/env.py").write_text(MULTIDB)
    application.revision("one", ADD)
    (one,) = rendered(application).values()
    each = ["BEGIN;", "ALTER TABLE t ADD COLUMN c TEXT;", "COMMIT;"]
    assert each * 2 == lines(one.sql)
    assert ("kept", False) == (Path("one.sql").read_text(), Path("two.sql").exists())


def test_flask_is_told_what_works(application: App) -> None:
    env = application.ini.parent / "db/alembic/env.py"
    env.write_text("current_app = None\nraise RuntimeError('Working outside of a context')\n")
    application.revision("one", ADD)
    with pytest.raises(UsageError, match="cannot run without the Flask application") as error:
        rendered(application)
    assert "flask db upgrade --sql" in error.value.hint
