"""An application with an Alembic environment of its own, as `alembic init` makes one."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from argparse import Namespace
from dataclasses import dataclass, field
from pathlib import Path

from alembic import command
from alembic.config import Config
from psycopg.conninfo import conninfo_to_dict

ROOT = Path(__file__).resolve().parents[2]

ENV = """
from alembic import context
from sqlalchemy import MetaData, create_engine, pool, text

URL = context.config.get_main_option("sqlalchemy.url")
target_metadata = MetaData()
{before}

if context.is_offline_mode():
    context.configure(url=URL, target_metadata=target_metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    with create_engine(URL, poolclass=pool.NullPool).connect() as connection:
{online}
"""

ONE_TRANSACTION = """
        context.configure(connection=connection, target_metadata=target_metadata)
        with context.begin_transaction():
            context.run_migrations()
"""
EACH_ITS_OWN = """
        context.configure(
            connection=connection, target_metadata=target_metadata, transaction_per_migration=True
        )
        with context.begin_transaction():
            context.run_migrations()
"""
ALONE = """
        from dbopt.migrate.alembicops import one_at_a_time

        context.configure(
            connection=connection, target_metadata=target_metadata, transaction_per_migration=True
        )
        with one_at_a_time(context), context.begin_transaction():
            context.run_migrations()
"""
ASYNC = """
import asyncio

from alembic import context
from sqlalchemy import MetaData, pool
from sqlalchemy.ext.asyncio import create_async_engine

URL = context.config.get_main_option("sqlalchemy.url")


def migrate(connection):
    context.configure(connection=connection, target_metadata=MetaData())
    with context.begin_transaction():
        context.run_migrations()


async def main():
    engine = create_async_engine(URL, poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()


asyncio.run(main())
"""

MAKO = '''"""${message}"""
from alembic import op
import sqlalchemy as sa
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
'''

REVISION = '''"""{revision}"""
import sqlalchemy as sa
from alembic import op

import dbopt.migrate.alembicops  # noqa: F401

revision = "{revision}"
down_revision = {down!r}
branch_labels = {labels!r}
depends_on = None


def upgrade():
    {up}


def downgrade():
    {down_body}
'''


def url_of(dsn: str, driver: str = "psycopg") -> str:
    """A server's conninfo as SQLAlchemy writes it."""
    parts = conninfo_to_dict(dsn)
    password = f":{parts['password']}" if parts.get("password") else ""
    host = str(parts["host"])
    where = f"{host}:{parts['port']}/{parts['dbname']}"
    if host.startswith("/"):
        where = f"/{parts['dbname']}?host={host}&port={parts['port']}"
    return f"postgresql+{driver}://{parts['user']}{password}@{where}"


@dataclass
class Application:
    """An application's directory; `printed` has what the last command printed."""

    place: Path
    printed: io.StringIO = field(default_factory=io.StringIO)

    @classmethod
    def make(
        cls, place: Path, url: str, online: str = EACH_ITS_OWN, before: str = "", more: str = ""
    ) -> Application:
        (place / "alembic/versions").mkdir(parents=True)
        env = online if "run_sync" in online else ENV.format(before=before, online=online)
        (place / "alembic/env.py").write_text(env)
        (place / "alembic/script.py.mako").write_text(MAKO)
        (place / "alembic.ini").write_text(
            "[alembic]\nscript_location = %(here)s/alembic\npath_separator = os\n"
            f"sqlalchemy.url = {url.replace('%', '%%')}\n{more}"
        )
        return cls(place)

    @property
    def versions(self) -> Path:
        return self.place / "alembic/versions"

    def revision(
        self, name: str, up: str, down: str = "pass", after: str | None = None, **more: object
    ) -> None:
        """Write a revision; the bodies' lines are indented as they stand."""
        text = REVISION.format(
            revision=name, down=after, labels=more.get("labels"), up=up, down_body=down
        )
        folder = self.place / str(more.get("folder", "alembic/versions"))
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.py").write_text(text)

    def config(self, *arguments: str) -> Config:
        self.printed = io.StringIO()
        made = Config(
            str(self.place / "alembic.ini"), stdout=self.printed, output_buffer=self.printed
        )
        made.cmd_opts = Namespace(x=list(arguments) or None)
        return made

    def upgrade(self, to: str = "head", *arguments: str, sql: bool = False) -> str:
        config = self.config(*arguments)
        command.upgrade(config, to, sql=sql)
        return self.printed.getvalue()

    def downgrade(self, to: str, *, sql: bool = False) -> str:
        config = self.config()
        command.downgrade(config, to, sql=sql)
        return self.printed.getvalue()

    def alembic(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Plain `alembic`, as a deploy runs it."""
        return subprocess.Popen(
            [sys.executable, "-m", "alembic", *arguments],
            cwd=self.place,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
