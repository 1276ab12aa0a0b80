"""The operations in environments that get in their way: poolers, savepoints, roles, databases."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from alembic.util import CommandError
from psycopg.conninfo import make_conninfo

from dbopt.migrate import runner
from dbopt.settings import Server as Served
from dbopt.settings import Settings
from tests.fix_gateway import GatewayFactory
from tests.fix_pg import Server, fresh_database
from tests.integration.alembic_support import EACH_ITS_OWN, Application, url_of
from tests.integration.test_alembic_operations import GONE, PLAIN, TABLE, UNPLAIN, indexes

SEVERAL = """
        from dbopt.migrate.alembicops import one_at_a_time

        url = context.config.get_main_option("other")
        with create_engine(url, poolclass=pool.NullPool).connect() as other:
            context.configure(connection=other, transaction_per_migration=True)
            with one_at_a_time(context):
                context.configure(connection=connection, transaction_per_migration=True)
                with context.begin_transaction():
                    context.run_migrations()
                context.configure(connection=other, transaction_per_migration=True)
                with context.begin_transaction():
                    context.run_migrations()
"""

TENANT = """
        from dbopt.migrate.alembicops import one_at_a_time

        connection.execute(text("SET search_path TO tenant"))
        context.configure(connection=connection)
        with one_at_a_time(context), context.begin_transaction():
            context.run_migrations()
        connection.commit()
"""


@contextmanager
def others_at_work(dsn: str, clients: int = 2) -> Iterator[None]:
    """Clients that are in a transaction, idle, nearly always."""
    ended = threading.Event()

    def work() -> None:
        with psycopg.connect(dsn) as connection:
            while not ended.wait(0.001):
                connection.execute("SELECT 1")
                ended.wait(0.01)
                connection.commit()

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def test_a_poolers_process_in_anothers_transaction_is_not_alembics(
    tmp_path: Path, pg_dsn: str, pg_conn: psycopg.Connection, make_gateway: GatewayFactory
) -> None:
    gateway = make_gateway(pool__max_size=2)
    app = Application.make(tmp_path, url_of(gateway.dsn()))
    app.revision("a1", TABLE, GONE)
    app.revision("a2", PLAIN, UNPLAIN, after="a1")
    direct = f"dbopt_dsn={pg_dsn}"
    with others_at_work(gateway.dsn()):
        app.upgrade("a1", direct)
        app.upgrade("a2", direct)
        assert list(indexes(pg_conn)) == ["people_mail"]


def test_settings_of_a_poolers_session_are_left_alone(
    tmp_path: Path, pg_dsn: str, pg_conn: psycopg.Connection, make_gateway: GatewayFactory
) -> None:
    """That session is other clients' too."""
    pg_conn.execute(f"ALTER DATABASE {pg_conn.info.dbname} SET idle_session_timeout = '1min'")
    gateway = make_gateway(pool__max_size=1)
    app = Application.make(tmp_path, url_of(gateway.dsn()))
    app.revision("a1", f"{TABLE}\n    {PLAIN}")
    app.upgrade("head", f"dbopt_dsn={pg_dsn}")
    touched = "SELECT count(*) FROM pg_stat_statements WHERE query LIKE '%s.setting, set_config(%'"
    assert list(indexes(pg_conn)) == ["people_mail"]
    assert pg_conn.execute(f"{touched} AND dbid = {dbid(pg_conn)}").fetchone() == (0,)


def dbid(connection: psycopg.Connection) -> int:
    row = connection.execute(
        "SELECT oid::int FROM pg_database WHERE datname = current_database()"
    ).fetchone()
    assert row is not None
    return int(row[0])


def test_a_savepoint_is_refused_in_words(
    tmp_path: Path, pg_dsn: str, pg_conn: psycopg.Connection
) -> None:
    app = Application.make(tmp_path, url_of(pg_dsn))
    app.revision("a1", f"{TABLE}\n    with op.get_bind().begin_nested():\n        {PLAIN}")
    with pytest.raises(CommandError, match=r"A savepoint is open"):
        app.upgrade()
    assert pg_conn.execute("SELECT to_regclass('people')").fetchone() == (None,)


@pytest.mark.parametrize("grant", ["", "GRANT USAGE ON SCHEMA dbopt TO app_only"])
def test_a_role_that_may_not_write_dbopts_schema_builds_all_the_same(
    tmp_path: Path, pg_dsn: str, pg_conn: psycopg.Connection, grant: str
) -> None:
    runner.upgrade(Settings(server=Served(dsn=pg_dsn)), indexes=False)
    pg_conn.execute("CREATE ROLE app_only LOGIN")
    database = pg_conn.info.dbname
    pg_conn.execute(f"GRANT TEMPORARY ON DATABASE {database} TO app_only")
    pg_conn.execute("GRANT CREATE ON SCHEMA public TO app_only")
    try:
        if grant:
            pg_conn.execute(grant)
        app = Application.make(tmp_path, url_of(make_conninfo(pg_dsn, user="app_only")))
        app.revision("a1", f"{TABLE}\n    {PLAIN}", f"{UNPLAIN}\n    {GONE}")
        app.upgrade()
        assert list(indexes(pg_conn)) == ["people_mail"]
        app.downgrade("base")
        assert pg_conn.execute("SELECT count(*) FROM dbopt.index_run").fetchone() == (0,)
    finally:
        pg_conn.execute("DROP OWNED BY app_only")
        pg_conn.execute("DROP ROLE app_only")


def test_each_of_several_databases_has_a_lock_of_its_own(
    tmp_path: Path, pg_dsn: str, pg_conn: psycopg.Connection, pg_backend: Server
) -> None:
    """An env.py may hold one database's lock while it migrates another."""
    with fresh_database(pg_backend) as other:
        app = Application.make(tmp_path, url_of(pg_dsn), SEVERAL, more=f"other = {url_of(other)}\n")
        app.revision("a1", f"{TABLE}\n    {PLAIN}")
        app.upgrade()
        with psycopg.connect(other) as connection:
            for one in (connection, pg_conn):
                assert indexes(one) == {"people_mail": ("public.people USING btree (mail)", True)}


def test_a_drop_of_what_is_not_there_is_told(
    tmp_path: Path, pg_dsn: str, pg_conn: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    """As when somebody has renamed it: the index stays, and nobody would know."""
    app = Application.make(tmp_path, url_of(pg_dsn), EACH_ITS_OWN)
    app.revision("a1", TABLE)
    app.revision("a2", PLAIN, UNPLAIN, after="a1")
    app.upgrade()
    pg_conn.execute("ALTER INDEX people_mail RENAME TO somebodys")
    with caplog.at_level("INFO", "alembic.dbopt"):
        app.downgrade("a1")
    assert "There is no index people_mail to drop." in caplog.messages
    assert list(indexes(pg_conn)) == ["somebodys"]


def test_a_transaction_that_env_py_has_begun_is_not_taken_back(
    tmp_path: Path, pg_dsn: str, pg_conn: psycopg.Connection
) -> None:
    """Its SET would be undone, and the tables made in another schema."""
    pg_conn.execute("CREATE SCHEMA tenant")
    app = Application.make(tmp_path, url_of(pg_dsn), TENANT)
    app.revision("a1", TABLE)
    app.upgrade()
    assert pg_conn.execute("SELECT to_regclass('tenant.people') IS NOT NULL").fetchone() == (True,)
    app.revision("a2", PLAIN, after="a1")
    with pytest.raises(CommandError, match="does not own the transaction"):
        app.upgrade()
