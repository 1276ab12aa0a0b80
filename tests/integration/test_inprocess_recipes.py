"""docs/in-process.md: what it shows runs, and types as it should."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from dbopt.inprocess.tracing import Traced
from dbopt.settings import Settings

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs/in-process.md").read_text()
BLOCKS = re.findall(r"^## ([^\n]+)\n|^```python\n(.*?)^```", DOCUMENT, re.DOTALL | re.MULTILINE)


def recipes() -> list[tuple[str, str]]:
    """(heading, code) of each block."""
    heading, found = "The pool", []
    for title, code in BLOCKS:
        heading = title or heading
        if code:
            found.append((heading, code))
    return found


def executed(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments, code],
        capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT), "DBOPT_SOCKET": ""},
    )  # fmt: skip


@pytest.mark.parametrize(("heading", "code"), recipes())
def test_a_recipe_runs(heading: str, code: str, pg_dsn: str) -> None:
    parts = conninfo_to_dict(pg_dsn)
    database = {
        "NAME": parts["dbname"], "USER": parts["user"], "HOST": parts["host"],
        "PORT": parts["port"], "PASSWORD": parts.get("password", ""),
    }  # fmt: skip
    done = executed(f"CONNINFO = {pg_dsn!r}\nDJANGO_DATABASE = {database!r}\n{code}", "-c")
    assert (0, "") == (done.returncode, done.stderr)


def test_there_is_a_recipe_for_each() -> None:
    headings = " ".join(heading for heading, _ in recipes())
    for name in ("pool", "Routes", "FastAPI", "SQLAlchemy", "Django"):
        assert name in headings


def test_the_arguments_are_documented() -> None:
    table = set(re.findall(r"^\| `(\w+)` \|", DOCUMENT, re.MULTILINE))
    assert {"report_to", "application", "slow_ms", "parameters", "n_plus_one", "comments"} == table
    for name in ("statements", "slow", "transactions", "repeated"):
        assert f"`pool.{name}()`" in DOCUMENT
        assert hasattr(Traced, name)
    assert hasattr(Settings().trace, "socket")


DJANGO = """
import threading
import django
from django.conf import settings
settings.configure(
    DATABASES={"default": {"ENGINE": "dbopt.inprocess.django", **DJANGO_DATABASE,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"pool": {"min_size": 1, "max_size": 2, "report_to": ""}}}},
    USE_TZ=True, TIME_ZONE="Europe/Berlin",
)
django.setup()
from django.db import connection, connections, models, transaction
class Thing(models.Model):
    name = models.TextField()
    class Meta:
        app_label = "shop"
with connection.schema_editor() as editor:
    editor.create_model(Thing)
with transaction.atomic():
    Thing.objects.bulk_create([Thing(name=str(n)) for n in range(250)])
    for number in range(12):
        list(Thing.objects.filter(name=str(number)))
assert 250 == sum(1 for _ in Thing.objects.iterator(chunk_size=100))
def work():
    assert Thing.objects.count() == 250
    connections.close_all()
thread = threading.Thread(target=work)
thread.start()
thread.join()
pool = connection.pool
found = {one.text: (one.calls, one.rows) for one in pool.statements()}
(selected,) = [v for k, v in found.items() if k.startswith("SELECT") and "WHERE" in k]
assert selected == (12, 12), found
assert [v for k, v in found.items() if "COUNT" in k] == [(1, 1)], found
(declared,) = [v for k, v in found.items() if k.startswith("DECLARE c CURSOR WITH HOLD FOR")
               or k.startswith("DECLARE c CURSOR FOR")]
assert declared[1] == 250, found
assert [one.most for one in pool.repeated()] == [12], pool.repeated()
assert pool.trace_faults == 0
connection.close()
connection.close_pool()
"""


def test_djangos_orm_its_server_cursors_and_its_threads(pg_dsn: str) -> None:
    test_a_recipe_runs("Django", DJANGO, pg_dsn)


SQLALCHEMY = """
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from dbopt import TracedConnectionPool, route
class Base(DeclarativeBase): pass
class Thing(Base):
    __tablename__ = "thing"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
pool = TracedConnectionPool(CONNINFO, min_size=1, open=True, close_returns=True, report_to="")
engine = create_engine("postgresql+psycopg://", creator=pool.getconn, poolclass=NullPool)
Base.metadata.create_all(engine)
with Session(engine) as session, route("POST /things"):
    session.add_all([Thing(name=str(n)) for n in range(20)])
    session.commit()
    session.add(Thing(name="1"))
    try:
        session.commit()
    except IntegrityError:
        session.rollback()
    with engine.connect().execution_options(stream_results=True, max_row_buffer=5) as connection:
        pass
    assert len(session.execute(text("SELECT * FROM thing")).all()) == 20
inserted = [one for one in pool.statements() if one.text.startswith("INSERT")]
assert {"POST /things"} == {one.route for one in inserted}, inserted
assert sum(one.errors.get("23505", 0) for one in inserted) == 1, inserted
assert pool.trace_faults == 0
assert pool.get_stats()["pool_size"] <= 4
engine.dispose()
pool.close()
"""


def test_sqlalchemys_orm(pg_dsn: str) -> None:
    test_a_recipe_runs("SQLAlchemy", SQLALCHEMY, pg_dsn)


TYPED = """
from psycopg import AsyncConnection, Connection
from psycopg.rows import DictRow, TupleRow, dict_row
from psycopg_pool import ConnectionPool

from dbopt import AsyncTracedConnectionPool, TracedConnectionPool, TracedNullConnectionPool, route


def configure(connection: Connection[DictRow]) -> None: ...


pool: ConnectionPool[Connection[DictRow]] = TracedConnectionPool(
    "", connection_class=Connection[DictRow], kwargs={"row_factory": dict_row}, open=False,
    configure=configure, max_size=4, report_to="", slow_ms=10,
)
with pool.connection() as connection, route("a"):
    row: DictRow | None = connection.execute("SELECT 1").fetchone()

plain: ConnectionPool[Connection[TupleRow]] = TracedConnectionPool("", open=False)
null = TracedNullConnectionPool[Connection[DictRow]]("", max_size=2, open=False)


async def main() -> None:
    async with AsyncTracedConnectionPool(
        "", connection_class=AsyncConnection[DictRow], open=False
    ) as other, other.connection() as connection:
        cursor = await connection.execute("SELECT 1")
        row: DictRow | None = await cursor.fetchone()
    wrong: int = other.statements()[0].text  # type: ignore[assignment]
"""


@pytest.mark.slow
def test_the_pools_type_as_psycopgs_do(tmp_path: Path) -> None:
    (tmp_path / "application.py").write_text(TYPED)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--warn-unused-ignores", "--python-version=3.11",
         "--cache-dir", str(ROOT / ".mypy_cache"), "--follow-imports=silent",
         str(tmp_path / "application.py")],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "MYPYPATH": str(ROOT)},
    )  # fmt: skip
    assert (0, "") == (done.returncode, done.stderr), done.stdout


def test_importing_dbopt_loads_nothing() -> None:
    code = "import sys, dbopt; print(sorted({'psycopg', 'msgspec', 'sqlglot'} & set(sys.modules)))"
    assert "[]\n" == executed(code, "-c").stdout
    code = (
        "import sys; from dbopt import TracedConnectionPool; "
        "print(sorted({'sqlglot', 'starlette', 'sqlalchemy', 'rich', 'structlog'} & "
        "set(sys.modules)))"
    )
    assert "[]\n" == executed(code, "-c").stdout
