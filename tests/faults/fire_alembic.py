"""The peer: plain Alembic with postgresql_concurrently, as its documentation has it."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.faults.fire_scene import LOCK_TIMEOUT, Ended, Process, Scene, finish, spawn

ENV = f"""
from alembic import context
from sqlalchemy import create_engine

engine = create_engine(
    context.config.get_main_option("sqlalchemy.url"),
    connect_args={{"options": "-c lock_timeout={LOCK_TIMEOUT}s"}},
)
with engine.connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
"""
REVISION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "1", None


def upgrade():
    with op.get_context().autocommit_block():
        op.create_index(
            "{name}", "orders", {columns}, unique={unique},
            postgresql_concurrently=True, if_not_exists=True,
        )
"""
COLUMNS = {
    "idx_orders_state": '[sa.text("lower(state)"), "id"]',
    "idx_orders_number": '["number"]',
    "idx_orders_open": '["customer"]',
}


@dataclass(frozen=True)
class Alembic:
    """An application's environment with one revision, which makes that index."""

    scene: Scene
    directory: Path
    index: str

    @property
    def port(self) -> int:
        """The server's, or of what leads there."""
        network = self.scene.network
        return network.port if network else self.scene.cluster.port

    def make(self) -> None:
        """Write it."""
        (self.directory / "versions").mkdir(parents=True, exist_ok=True)
        (self.directory / "env.py").write_text(ENV)
        (self.directory / "alembic.ini").write_text(
            f"[alembic]\nscript_location = {self.directory}\n"
            f"sqlalchemy.url = postgresql+psycopg://postgres@127.0.0.1:{self.port}"
            f"/{self.scene.name}\n"
        )
        unique = self.index == "idx_orders_number"
        text = REVISION.format(name=self.index, columns=COLUMNS[self.index], unique=unique)
        (self.directory / "versions" / "1.py").write_text(text)

    def start(self) -> Process:
        """`alembic upgrade head`, started."""
        return spawn([sys.executable, "-m", "alembic", "upgrade", "head"], self.directory)

    def apply(self) -> Ended:
        """A whole run."""
        began = time.monotonic()
        return finish(self.start(), began)

    def wrong(self) -> list[str]:
        """What is not as the revision has it."""
        with self.scene.admin() as connection:
            row = connection.execute(
                "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", (self.index,)
            ).fetchone()
        if row is None:
            return [f"{self.index} is missing"]
        return [] if row[0] else [f"{self.index} is invalid"]
