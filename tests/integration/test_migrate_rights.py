"""What docs/deploy.md says that the role of a deploy needs is what it needs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from dbopt.errors import MigrationRefused
from dbopt.migrate import runner
from dbopt.migrate.rollback import preview, roll_back
from dbopt.migrate.run import Options, apply
from dbopt.migrate.storeschema import make_store
from dbopt.settings import Index, Server, Settings

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/deploy.md"
ROLE = "app_owner"


@pytest.fixture
def settings(pg_dsn: str, pg_conn: psycopg.Connection, tmp_path: Path) -> Iterator[Settings]:
    """A table's owner in a database whose store another role has made."""
    runner.upgrade(Settings(server=Server(dsn=pg_dsn)), indexes=False)
    pg_conn.execute(f"CREATE ROLE {ROLE} LOGIN")
    pg_conn.execute(f"CREATE SCHEMA shop AUTHORIZATION {ROLE}")
    try:
        own = make_conninfo(pg_dsn, user=ROLE)
        with psycopg.connect(own, autocommit=True) as owner:
            owner.execute("CREATE TABLE shop.people (id int)")
        (tmp_path / "people.sql").write_text("CREATE INDEX people_id ON shop.people (id);")
        yield Settings(server=Server(dsn=own), index=Index(directory=str(tmp_path)))
    finally:
        pg_conn.execute(f"DROP OWNED BY {ROLE} CASCADE")
        pg_conn.execute(f"DROP ROLE {ROLE}")


def test_the_grants_of_the_document_are_enough(
    settings: Settings, pg_conn: psycopg.Connection
) -> None:
    [grants] = re.findall(r"```sql\n(GRANT .*?)```", DOCUMENT.read_text(), re.DOTALL)
    pg_conn.execute(grants)
    told: list[str] = []
    assert make_store(settings, 1) is None
    assert "0005" == runner.upgrade(settings, indexes=False).revision

    applied = apply(settings, Options(), tell=told.append)
    done = roll_back(settings, preview(settings, applied.run), tell=told.append)

    assert ([], 0, 0) == (told, applied.exit_code, done.exit_code)
    outcomes = "SELECT outcome FROM dbopt.index_run ORDER BY began"
    assert [("rolled back",), ("done",)] == pg_conn.execute(outcomes).fetchall()


def test_without_them_the_index_is_built_and_one_line_says_what_is_missing(
    settings: Settings, pg_conn: psycopg.Connection
) -> None:
    told: list[str] = []
    applied = apply(settings, Options(), tell=told.append)
    assert (0, ["people_id"]) == (applied.exit_code, [one.name for one in applied.changed])
    assert 2 == len(told)
    assert "42501 (permission denied for schema dbopt)" in told[0]
    assert "is not recorded whole" in told[1]


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("ALTER SCHEMA shop OWNER TO CURRENT_USER", "42501 (permission denied for schema shop)"),
        ("REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC", "needs TEMPORARY on the database"),
    ],
)
def test_a_plan_that_cannot_be_made_is_refused_and_says_what_the_role_lacks(
    settings: Settings, pg_conn: psycopg.Connection, statement: str, words: str
) -> None:
    pg_conn.execute(statement.format(pg_conn.info.dbname))
    with pytest.raises(MigrationRefused) as caught:
        apply(settings, Options())
    assert words in str(caught.value)
