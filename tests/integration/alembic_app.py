"""An application with an Alembic environment of its own, made for one test."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

ENV = '''"""As `alembic init` makes it, but for what a test puts in."""
from logging.config import fileConfig

from alembic import context
{imports}

config = context.config
fileConfig(config.config_file_name)
URL = "postgresql://app:hunter2@db.internal/app"


def run_migrations_offline():
    context.configure(
        url=URL, literal_binds=True, dialect_opts={{"paramstyle": "named"}}, {configure}
    )
    with context.begin_transaction():
        {before}
        context.run_migrations()


def run_migrations_online():
    from sqlalchemy import create_engine

    with create_engine(URL).connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()


if {offline}:
    run_migrations_offline()
else:
    run_migrations_online()
'''

INI = """[alembic]
script_location = %(here)s/db/alembic
prepend_sys_path = %(here)s
path_separator = os
version_locations = %(here)s/db/versions:%(here)s/db/more

[loggers]
keys = root
[handlers]
keys = console
[formatters]
keys = plain
[logger_root]
level = INFO
handlers = console
[handler_console]
class = StreamHandler
args = (sys.stderr,)
level = NOTSET
formatter = plain
[formatter_plain]
format = %(message)s
"""

REVISION = '''"""{revision}."""
from alembic import op
import sqlalchemy as sa

revision = "{revision}"
down_revision = {down!r}
branch_labels = {labels!r}
depends_on = None


def upgrade() -> None:
{body}


def downgrade() -> None:
    pass
'''


@dataclass(slots=True)
class App:
    """`where` holds alembic.ini; environments are in db/alembic, revisions in db/versions."""

    where: Path
    revisions: list[str] = field(default_factory=list)

    @property
    def ini(self) -> Path:
        return self.where / "alembic.ini"

    def environment(
        self, *, imports: str = "", configure: str = "transaction_per_migration=True",
        before: str = "pass", offline: str = "context.is_offline_mode()",
    ) -> None:  # fmt: skip
        """Write alembic.ini and env.py."""
        for name in ("alembic", "versions", "more"):
            Path(self.where, "db", name).mkdir(parents=True, exist_ok=True)
        self.ini.write_text(INI)
        given = {"imports": imports, "configure": configure, "before": before, "offline": offline}
        Path(self.where, "db/alembic/env.py").write_text(ENV.format(**given))

    def revision(
        self, name: str, body: str, *, folder: str = "versions", labels: tuple[str, ...] = (),
        down: str | tuple[str, ...] | None = "last",
    ) -> Path:  # fmt: skip
        """Write a revision; it revises the one before, unless `down` says otherwise."""
        if down == "last":
            down = self.revisions[-1] if self.revisions else None
        self.revisions.append(name)
        lines = "\n".join(f"    {line}" if line else "" for line in body.strip("\n").split("\n"))
        path = Path(self.where, "db", folder, f"{name}.py")
        path.write_text(
            REVISION.format(revision=name, down=down, labels=labels or None, body=lines)
        )
        return path


def app(where: Path) -> App:
    """An application without revisions."""
    made = App(where)
    made.environment()
    return made
