"""A Sight of a healthy server with one table, for tests to change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dbopt.migrate.looks.sight import Sight
from dbopt.migrate.steps import Action, Step
from dbopt.pg import look
from dbopt.pg.catalog import Index
from dbopt.settings import Migrate
from dbopt.sql.indexdef import IndexDefinition, IndexKey

WANTED = IndexDefinition("i", "public", "t", "btree", (IndexKey("a"),))
CREATE = Step(Action.CREATE, WANTED)
DROP = Step(Action.DROP, WANTED, Index(oid=9, table_oid=1, definition=WANTED))
SERVER = look.Server(
    version_num=180001,
    in_recovery=False,
    read_only=False,
    database="shop",
    role="app",
    can_temp=True,
    direct_host=True,
    sessions=10,
    role_sessions=1,
    database_sessions=5,
    role_limit=-1,
    database_limit=-1,
)
TABLE = look.Table(
    oid=1,
    schema="public",
    name="t",
    partitioned=False,
    rows=1000,
    analyzed=True,
    size_bytes=1 << 20,
    owner="app",
    owned=True,
    can_create=True,
    tablespace=0,
    unlogged=False,
    writes=0,
    seq_tup_read=0,
    namesakes=(),
)


def sight(*steps: Step, server: dict[str, Any] | None = None, **other: Any) -> Sight:
    """The healthy one, but for what is given."""
    given: dict[str, Any] = {
        "steps": steps or (CREATE,),
        "settings": Migrate(),
        "server": replace(SERVER, **(server or {})),
        "parameters": {"max_connections": 100.0, "maintenance_work_mem": float(64 << 20)},
        "tables": {("public", "t"): TABLE},
        "sizes": {"public.i": 1 << 20},
    }
    return Sight(**given | other)
