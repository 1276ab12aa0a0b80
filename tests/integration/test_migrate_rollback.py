"""Taking runs back, on a real server: what is done, what is left alone, what is not believed."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from psycopg import sql
from rich.console import Console

from dbopt.cli.context import Context
from dbopt.cli.index import index
from dbopt.errors import MigrationBusy, MigrationRefused, UsageError
from dbopt.migrate.outcome import Applied
from dbopt.migrate.plan import Action, Step
from dbopt.migrate.rollback import RolledBack, preview, roll_back
from dbopt.migrate.run import Options, apply
from dbopt.pg import ddl
from dbopt.pg.connect import Connection, connect
from dbopt.settings import Index, Migrate, Server, Settings, Store
from dbopt.store import indexruns
from tests.fix_pg import Server as Backend
from tests.fix_pg import fresh_database
from tests.integration.migrate_support import locked
from tests.integration.store_support import create_store


@pytest.fixture(scope="module")
def store(pg_backend: Backend) -> Iterator[str]:
    """A store elsewhere than what is served."""
    with fresh_database(pg_backend) as found:
        yield create_store(found)


@pytest.fixture
def connection(pg_dsn: str) -> Iterator[Connection]:
    with connect(pg_dsn) as made:
        made.execute("CREATE TABLE people (id int, mail text, name text)")
        yield made


@pytest.fixture
def settings(connection: Connection, pg_dsn: str, store: str, tmp_path: Path) -> Settings:
    return Settings(
        server=Server(dsn=pg_dsn),
        store=Store(dsn=store),
        index=Index(directory=str(tmp_path)),
        migrate=Migrate(lock_timeout=0.5, build_timeout=30, lock_wait=5),
    )


def declare(settings: Settings, text: str) -> Applied:
    (Path(settings.index.directory) / "people.sql").write_text(text)
    applied = apply(settings, Options(prune=not text))
    assert 0 == applied.exit_code, applied
    return applied


def back(settings: Settings, run: str) -> RolledBack:
    return roll_back(settings, preview(settings, run))


def indexes(connection: Connection, table: str = "people") -> dict[str, str]:
    rows = connection.execute(
        "SELECT c.relname, pg_get_indexdef(c.oid) AS text FROM pg_index i"
        " JOIN pg_class c ON c.oid = i.indexrelid"
        " WHERE i.indrelid = %s::regclass AND i.indisvalid ORDER BY 1",
        (table,),
    ).fetchall()
    return {row["relname"]: row["text"].partition(" USING ")[2] for row in rows}


def test_what_a_run_made_is_dropped_and_what_it_dropped_is_made(
    settings: Settings, connection: Connection, store: str
) -> None:
    declare(settings, "CREATE INDEX a ON people (id); CREATE UNIQUE INDEX u ON people (mail);")
    second = declare(settings, "CREATE INDEX b ON people (lower(mail)) WHERE id > 0;")
    assert ["b"] == list(indexes(connection))

    done = back(settings, second.run)

    assert {"a": "btree (id)", "u": "btree (mail)"} == indexes(connection)
    assert (0, ()) == (done.exit_code, done.rollback.stuck)
    assert [Action.CREATE, Action.CREATE, Action.DROP] == [b.action for b in done.applied.built]
    # The files still say otherwise.
    assert done.again is not None
    assert [("b", "create")] == [(step.definition.name, step.action.value) for step in done.again]
    with connect(store) as held:
        runs = {run.id: run for run in indexruns.runs(held)}
    assert "rolled back" == runs[second.run].outcome
    undo = runs[done.applied.run]
    assert ("done", second.run) == (undo.outcome, undo.of_run)
    assert f"dbopt index rollback {second.run}" == undo.command

    # Once more: all is as before already.
    again = preview(settings, second.run)
    assert () == again.doing + again.stuck
    # The rollback is a run, and can be taken back.
    assert 0 == back(settings, done.applied.run).exit_code
    assert ["b"] == list(indexes(connection))
    with connect(store) as held:
        outcomes = {run.id: run.outcome for run in indexruns.runs(held)}
    assert ("done", "rolled back") == (outcomes[second.run], outcomes[done.applied.run])


def test_a_name_and_a_replacement(settings: Settings, connection: Connection) -> None:
    connection.execute("CREATE INDEX by_id ON people (id); CREATE INDEX x ON people (mail)")
    connection.execute("CREATE INDEX twin ON people (mail)")
    run = declare(settings, "CREATE INDEX a ON people (id); CREATE INDEX x ON people (name);").run
    twin = {"twin": "btree (mail)"}
    assert {"a": "btree (id)", "x": "btree (name)"} | twin == indexes(connection)

    done = back(settings, run)

    assert 0 == done.exit_code
    assert {"by_id": "btree (id)", "x": "btree (mail)"} | twin == indexes(connection)
    assert done.again is not None
    assert {("a", "rename"), ("x", "replace")} == {
        (step.definition.name, step.action.value) for step in done.again
    }
    # What is theirs again is not dropped because dbopt once had it under another name.
    declare(settings, "CREATE INDEX c ON people (lower(name));")
    assert {"by_id", "x", "twin", "c"} == set(indexes(connection))


def test_what_has_changed_since_is_left_alone(
    settings: Settings, connection: Connection, store: str
) -> None:
    run = declare(settings, "CREATE INDEX a ON people (id); CREATE INDEX b ON people (mail);").run
    connection.execute("DROP INDEX a; CREATE INDEX a ON people (name)")

    shown = preview(settings, run)
    assert [("a", "that name is another index's by now")] == [
        (undo.name, undo.reason) for undo in shown.stuck
    ]
    done = roll_back(settings, shown)

    assert ["a"] == list(indexes(connection))
    assert 4 == done.exit_code
    with connect(store) as held:
        assert "done" == {r.id: r.outcome for r in indexruns.runs(held)}[run]


def test_a_rollback_that_is_stopped_goes_on_when_run_again(
    settings: Settings, connection: Connection, store: str
) -> None:
    run = declare(settings, "CREATE INDEX a ON people (id); CREATE INDEX b ON people (mail);").run
    told: list[str] = []

    def stop(number: int, total: int, step: Step) -> None:
        if number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        roll_back(settings, preview(settings, run), stepping=stop, tell=told.append)
    assert ["a"] == list(indexes(connection))
    assert "Stopped. Done: b. Left: a. Run again: it goes on from there." in told
    with connect(store) as held:
        assert "cancelled" in {r.outcome for r in indexruns.runs(held) if r.of_run == run}
        assert 0 == back(settings, run).exit_code
        assert {} == indexes(connection)
        assert "rolled back" == {r.id: r.outcome for r in indexruns.runs(held)}[run]


def test_an_index_that_is_needed_by_now_is_kept(settings: Settings, connection: Connection) -> None:
    run = declare(settings, "CREATE UNIQUE INDEX u ON people (id);").run
    shown = preview(settings, run)
    connection.execute("CREATE TABLE pets (of int REFERENCES people (id))")

    done = roll_back(settings, shown)

    assert ["u"] == list(indexes(connection))
    assert 4 == done.exit_code
    assert ["a foreign key points at it"] == [undo.reason for undo in done.rollback.stuck]


def test_a_partitioned_table(settings: Settings, connection: Connection) -> None:
    connection.execute("CREATE TABLE logs (at int, who text) PARTITION BY RANGE (at)")
    connection.execute("CREATE TABLE logs_1 PARTITION OF logs FOR VALUES FROM (0) TO (9)")
    connection.execute(
        "CREATE TABLE logs_2 PARTITION OF logs FOR VALUES FROM (9) TO (20) PARTITION BY RANGE (at)"
    )
    connection.execute("CREATE TABLE logs_2a PARTITION OF logs_2 FOR VALUES FROM (9) TO (15)")
    made = declare(settings, "CREATE INDEX logs_who ON logs (who);").run
    assert ["logs_who"] == list(indexes(connection, "logs"))
    before = indexes(connection, "logs_2a")
    gone = declare(settings, "").run
    assert {} == indexes(connection, "logs_2a")

    assert 0 == back(settings, gone).exit_code
    assert (["logs_who"], before) == (
        list(indexes(connection, "logs")), indexes(connection, "logs_2a"),
    )  # fmt: skip
    assert 0 == back(settings, made).exit_code
    assert [{}, {}, {}] == [indexes(connection, name) for name in ("logs", "logs_1", "logs_2a")]


def test_partitions_that_come_and_go_meanwhile(
    settings: Settings, connection: Connection, store: str
) -> None:
    connection.execute("CREATE TABLE logs (at int, who text) PARTITION BY RANGE (at)")
    for number in (1, 2):
        connection.execute(
            f"CREATE TABLE logs_{number} PARTITION OF logs"
            f" FOR VALUES FROM ({number}0) TO ({number}9)"
        )
    run = declare(settings, "CREATE INDEX logs_who ON logs (who);").run
    connection.execute("ALTER TABLE logs DETACH PARTITION logs_2")
    connection.execute("CREATE TABLE logs_3 (LIKE logs); CREATE INDEX mine ON logs_3 (who)")
    connection.execute("ALTER TABLE logs ATTACH PARTITION logs_3 FOR VALUES FROM (30) TO (39)")

    shown = preview(settings, run)
    assert ["", "it takes mine with it, which came with a partition since"] == sorted(
        undo.reason for undo in shown.doing
    )
    assert 0 == roll_back(settings, shown).exit_code

    assert [{}] * 3 == [indexes(connection, f"logs_{number}") for number in (1, 2, 3)]
    with connect(store) as held:
        assert "rolled back" == {r.id: r.outcome for r in indexruns.runs(held)}[run]


def test_two_that_have_changed_names_change_them_back(
    settings: Settings, connection: Connection
) -> None:
    declare(settings, "CREATE INDEX a ON people (id); CREATE INDEX b ON people (name);")
    before = indexes(connection)
    run = declare(settings, "CREATE INDEX b ON people (id); CREATE INDEX a ON people (name);").run
    changed = indexes(connection)
    assert {"a": before["b"], "b": before["a"]} == changed
    done = back(settings, run)
    assert (0, before) == (done.exit_code, indexes(connection))
    assert (0, changed) == (back(settings, done.applied.run).exit_code, indexes(connection))


def test_what_was_unique_and_is_not_any_more_is_refused(
    settings: Settings, connection: Connection
) -> None:
    declare(settings, "CREATE UNIQUE INDEX u ON people (id);")
    run = declare(settings, "CREATE INDEX u ON people (id);").run
    connection.execute("INSERT INTO people VALUES (7, 'a'), (7, 'b')")
    with pytest.raises(MigrationRefused, match="Merge what this shows: SELECT id, count"):
        back(settings, run)
    assert {"u": "btree (id)"} == indexes(connection)


def test_on_15_with_the_store_in_the_served_database(pg15_dsn: str, tmp_path: Path) -> None:
    create_store(pg15_dsn)
    settings = Settings(server=Server(dsn=pg15_dsn), index=Index(directory=str(tmp_path)))
    with connect(pg15_dsn) as connection:
        connection.execute("CREATE TABLE people (id int, mail text, name text)")
        connection.execute("CREATE INDEX x ON people (lower(mail))")
        declare(settings, "CREATE INDEX a ON people (id); CREATE INDEX x ON people (lower(mail));")
        run = declare(settings, "CREATE INDEX x ON people (name);").run
        assert {"x": "btree (name)"} == indexes(connection)
        assert 0 == back(settings, run).exit_code
        assert {"a": "btree (id)", "x": "btree (lower(mail))"} == indexes(connection)


def test_a_killed_run_is_taken_back(settings: Settings, connection: Connection, store: str) -> None:
    run = declare(settings, "CREATE INDEX a ON people (id);").run
    with connect(store) as held:
        # As SIGKILL leaves it: the server has ended the build, nobody has noted it.
        held.execute("UPDATE dbopt.index_step SET outcome = 'began', ended = NULL")
        held.execute("UPDATE dbopt.index_run SET outcome = 'running', ended = NULL")
        (Path(settings.index.directory) / "people.sql").write_text("")
        assert 0 == apply(settings, Options(actions=frozenset({Action.CREATE}))).exit_code
        assert "interrupted" == {r.id: r.outcome for r in indexruns.runs(held)}[run]

    assert 0 == back(settings, run).exit_code
    assert {} == indexes(connection)


def test_a_killed_run_is_taken_back_before_any_other_run(
    settings: Settings, connection: Connection, store: str
) -> None:
    """Nobody has marked it as killed yet."""
    run = declare(settings, "CREATE INDEX a ON people (id);").run
    with connect(store) as held:
        held.execute("UPDATE dbopt.index_step SET outcome = 'began', ended = NULL")
        held.execute("UPDATE dbopt.index_run SET outcome = 'running', ended = NULL")
        assert 0 == back(settings, run).exit_code
        assert {} == indexes(connection)
        assert "rolled back" == {r.id: r.outcome for r in indexruns.runs(held)}[run]
    # Taken back is taken back: what looks like it by now is somebody's.
    connection.execute("CREATE INDEX a ON people (id)")
    again = preview(settings, run)
    assert () == again.doing + again.stuck
    assert ["the run was taken back; this one has come since"] == [u.reason for u in again.undos]


def test_what_was_done_when_the_server_was_lost_is_taken_back(
    settings: Settings, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer was lost: the same run finds it done, and goes on."""
    connection.execute("CREATE INDEX by_id ON people (id); CREATE INDEX c ON people (lower(mail))")
    before, run_it = indexes(connection), ddl.run
    lost: set[str] = set()

    def lose(session: Connection, text: str) -> None:
        run_it(session, text)
        if text not in lost:
            lost.add(text)
            session.close()
            session.execute("SELECT 1")

    with monkeypatch.context() as patched:
        patched.setattr(ddl, "run", lose)
        run = declare(
            settings,
            "CREATE INDEX a ON people (id); CREATE INDEX b ON people (mail);"
            " CREATE INDEX c ON people (name);",
        ).run
    assert {"a": "btree (id)", "b": "btree (mail)", "c": "btree (name)"} == indexes(connection)
    assert 5 == len(lost)

    assert 0 == back(settings, run).exit_code
    assert before == indexes(connection)


def test_what_a_killed_run_was_building_is_its_own_whoever_has_found_it(
    settings: Settings, connection: Connection, store: str
) -> None:
    """The server goes on building after SIGKILL, and the next run finds the index."""
    declared = "CREATE INDEX a ON people (id);"
    run = declare(settings, declared).run
    with connect(store) as held:
        held.execute("UPDATE dbopt.index_step SET outcome = 'began', ended = NULL")
        held.execute("UPDATE dbopt.index_run SET outcome = 'running', ended = NULL")
        held.execute("DELETE FROM dbopt.managed_index")
        assert "" == declare(settings, declared).run
        assert "interrupted" == {r.id: r.outcome for r in indexruns.runs(held)}[run]
    assert 0 == back(settings, run).exit_code
    assert {} == indexes(connection)


def test_a_killed_replacement_is_taken_back_from_what_is_there(
    settings: Settings, connection: Connection, store: str
) -> None:
    """Killed between the change of names and the drop of the old one."""
    declare(settings, "CREATE INDEX a ON people (id);")
    run = declare(settings, "CREATE INDEX a ON people (name);").run
    connection.execute("CREATE INDEX a_dbopt_old ON people (id)")
    with connect(store) as held:
        held.execute("DELETE FROM dbopt.index_step WHERE run = %s AND sql LIKE 'DROP%%'", (run,))
    assert 0 == back(settings, run).exit_code
    assert {"a": "btree (id)"} == indexes(connection)


def test_the_stores_text_is_not_run(settings: Settings, connection: Connection, store: str) -> None:
    """Whoever can write to the store gets nothing run by a rollback."""
    connection.execute("CREATE INDEX a ON people (id)")
    run = declare(settings, "CREATE INDEX b ON people (mail);").run
    role = sql.Identifier(f"evil_{connection.info.backend_pid}")
    connection.execute(sql.SQL("CREATE ROLE {}").format(role))
    connection.execute(sql.SQL("GRANT CREATE ON SCHEMA public TO {}").format(role))
    connection.execute(
        sql.SQL(
            "SET ROLE {}; CREATE FUNCTION evil(int) RETURNS int IMMUTABLE LANGUAGE sql"
            " AS 'SELECT 1'; RESET ROLE"
        ).format(role)
    )
    texts = (
        "CREATE INDEX c ON public.people (id) WHERE true; DROP TABLE public.people",
        "CREATE INDEX c ON public.people ((public.evil(id)))",
        "CREATE INDEX c ON public.people ((id + public.evil(1)))",
        "CREATE INDEX c ON public.people ((no_such(id)))",
    )
    try:
        with connect(store) as held:
            for text in texts:
                held.execute(
                    "UPDATE dbopt.index_step SET index = 'c', definition = %s, reverse = %s,"
                    " sql = 'DROP INDEX public.c' WHERE run = %s",
                    (text, text, run),
                )
                found = preview(settings, run)
                assert () == found.doing
                assert [False] == [undo.settled for undo in found.undos]
            assert "PostgreSQL answered 42883" in found.undos[0].reason
        assert ["a", "b"] == list(indexes(connection))
    finally:
        connection.execute(sql.SQL("DROP OWNED BY {}").format(role))
        connection.execute(sql.SQL("DROP ROLE {}").format(role))


def test_a_run_that_is_not_there_or_elsewhere(settings: Settings, store: str) -> None:
    with pytest.raises(UsageError, match='The store has no run "x"'):
        preview(settings, "x")
    run = declare(settings, "CREATE INDEX a ON people (id);").run
    with connect(store) as held:
        held.execute("UPDATE dbopt.index_run SET server = 'other:5432' WHERE id = %s", (run,))
    with pytest.raises(UsageError, match=f"The run {run} was on .* of other:5432, and this is"):
        preview(settings, run)
    with connect(store) as held:
        held.execute(
            "UPDATE dbopt.index_run SET (server, system_identifier) ="
            " (SELECT server, '1' FROM dbopt.managed_index LIMIT 1) WHERE id = %s", (run,)
        )  # fmt: skip
    with pytest.raises(UsageError, match=f"The run {run} was on another server that is called "):
        preview(settings, run)


def _cli(settings: Settings, *words: str, width: int = 220) -> tuple[Result, str]:
    shown = io.StringIO()
    console = Console(file=shown, width=width, force_terminal=False)
    result = CliRunner().invoke(index, words, obj=Context(settings, console))
    return result, shown.getvalue()


def test_the_commands(settings: Settings, connection: Connection, store: str) -> None:
    with connect(store) as held:
        held.execute("TRUNCATE dbopt.index_run CASCADE")
    assert "No run has changed an index yet.\n" == _cli(settings, "runs")[1]
    run = declare(settings, "CREATE INDEX a ON people (id);").run

    listed = _cli(settings, "runs")[1]
    assert run in listed
    assert "dbopt index apply" in listed
    # People type the run's id, and copy statements: neither is cut on a narrow terminal.
    assert run in _cli(settings, "runs", width=50)[1]
    assert (
        "    ↶ DROP INDEX CONCURRENTLY IF EXISTS public.a\n"
        in (_cli(settings, "runs", run, width=30)[1])
    )
    [document] = json.loads(_cli(settings, "runs", "--json")[0].stdout)
    assert (run, "done", 1) == (document["id"], document["outcome"], document["steps"])
    shown = _cli(settings, "runs", run)[1]
    assert "CREATE INDEX CONCURRENTLY a ON public.people USING btree (id)" in shown
    assert "↶ DROP INDEX CONCURRENTLY IF EXISTS public.a" in shown
    detail = json.loads(_cli(settings, "runs", run, "--json")[0].stdout)
    assert ["create"] == [step["action"] for step in detail["steps"]]
    assert isinstance(_cli(settings, "runs", "nope")[0].exception, UsageError)

    result, shown = _cli(settings, "rollback", run)
    assert isinstance(result.exception, UsageError)
    assert "DROP INDEX CONCURRENTLY IF EXISTS public.a" in shown
    assert ["a"] == list(indexes(connection))
    result, _ = _cli(settings, "rollback", run, "--dry-run", "--json")
    assert (1, ["drop"]) == (
        result.exit_code, [undo["action"] for undo in json.loads(result.stdout)["undo"]],
    )  # fmt: skip
    assert ["a"] == list(indexes(connection))
    with locked(settings.server.dsn):
        busy = _cli(settings, "rollback", run, "--yes", "--no-wait")[0].exception
    assert isinstance(busy, MigrationBusy)
    result, shown = _cli(settings, "rollback", run, "--yes", "--deadline", "1m")
    assert 0 == result.exit_code
    assert f"The run {run} is taken back." in shown
    place = Path(settings.index.directory) / "people.sql"
    assert f"The next apply would create a ({place}:1)." in shown
    assert {} == indexes(connection)
    result, shown = _cli(settings, "rollback", run, "--yes")
    assert (0, "as before a: it is not there any more\n") == (result.exit_code, shown)
    result, _ = _cli(settings, "rollback", run, "--yes", "--json")
    assert [True] == [undo["settled"] for undo in json.loads(result.stdout)["undo"]]
