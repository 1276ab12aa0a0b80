"""Runs that changed indexes, their steps, and which indexes dbopt manages, in the store.

Written and read by commands on a connection of their own, not by the daemon. Each write is one
statement that may be sent again: it sets the whole row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from dbopt.errors import StoreMissing
from dbopt.pg.connect import Connection, Row
from dbopt.pg.refusal import translated
from dbopt.pg.sqlfile import statement
from dbopt.store.frame import Target
from dbopt.store.text import storable

KEPT_DAYS = 400
"""Days for which runs and their steps are kept: more than a year, for whoever asks who did it."""
MAX_SQL = 100_000
"""Characters kept of one statement."""
MOST_RUNS = 1000
_CUT = {"message": 2000, "command": 2000}


@dataclass(frozen=True, slots=True, order=True)
class Place(Target):
    """A target, and which server it is: two may be called alike, such as "local:5432".

    `system_identifier` is the cluster's own (pg_control_system), the same on its standbys; "" where
    it is not known.
    """

    system_identifier: str = ""


@dataclass(frozen=True, slots=True)
class IndexRun:
    """One run: who (database role, OS user, host, its process), when, with what outcome.

    `outcome` is running, done, partly, failed, cancelled, interrupted (it was killed) or rolled
    back. `of_run` is the run that this one rolled back. `steps` are counted when it is read.
    """

    id: str
    target: Place
    began: datetime
    command: str = ""
    role: str = ""
    os_user: str = ""
    host: str = ""
    pid: int = 0
    application: str = ""
    version: str = ""
    of_run: str = ""
    ended: datetime | None = None
    outcome: str = "running"
    message: str = ""
    steps: int = 0

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready types, the target's among them."""
        return {"id": self.id, **asdict(self.target)} | _plain(self, "target")


@dataclass(frozen=True, slots=True)
class IndexStep:
    """One statement of a run that changed an index.

    `definition` is the index as CREATE INDEX, under the name that it had before a rename. `reverse`
    is "" where there is nothing to undo. `outcome` is began, done, failed, cancelled or interrupted
    (dbopt was killed, or the server lost, in its middle). Sizes are bytes, `duration_ms`
    milliseconds.
    """

    number: int
    action: str
    schema: str
    table: str
    index: str
    definition: str
    sql: str
    began: datetime
    reverse: str = ""
    ended: datetime | None = None
    duration_ms: float | None = None
    outcome: str = "began"
    message: str = ""
    size_bytes: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready types."""
        return _plain(self)


@dataclass(frozen=True, slots=True)
class Managed:
    """An index that dbopt manages: `sql` is its definition, `run` the one that has made it.

    `run` is "" where it was found as declared: that is nobody's work. `project` is who declared it
    (the setting index.project).
    """

    schema: str
    name: str
    table: str
    sql: str
    run: str
    since: datetime
    project: str = ""


def _plain(value: IndexRun | IndexStep, *without: str) -> dict[str, Any]:
    found = {k: v for k, v in asdict(value).items() if k not in without}
    return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in found.items()}


def write_run(connection: Connection, run: IndexRun) -> bool:
    """Write a run's row; False where its id is another run's.

    Raises StoreMissing without the tables, else ServerLost or QueryFailed: so do all below.
    """
    values = _plain(run, "target") | asdict(run.target)
    values |= {"began": run.began, "ended": run.ended}
    return bool(_fetch(connection, "index_run_write", values))


def write_step(connection: Connection, run: str, step: IndexStep) -> None:
    """Write a step's row; its run's must be there."""
    values = _plain(step) | {"run": run, "began": step.began, "ended": step.ended}
    _fetch(connection, "index_step_write", values)


def interrupt(connection: Connection, target: Place, run: str) -> list[str]:
    """Mark the other runs of a target that say "running" as interrupted; their ids.

    Whoever calls this holds the target's migration lock, so that those were killed.
    """
    rows = _fetch(connection, "index_runs_interrupt", {**asdict(target), "run": run})
    return [row["id"] for row in rows]


def set_outcome(connection: Connection, run: str, outcome: str) -> None:
    """Write what another run has come to."""
    _fetch(connection, "index_run_outcome", {"run": run, "outcome": outcome})


def expire(connection: Connection, days: int = KEPT_DAYS) -> None:
    """Forget runs that are older."""
    _fetch(connection, "index_runs_expire", {"days": days})


def manage(connection: Connection, target: Place, index: Managed) -> None:
    """Note that an index is managed; one that was found, and is already, stays as it is."""
    _fetch(connection, "index_managed_write", asdict(target) | asdict(index))


def forget(connection: Connection, target: Place, schema: str, name: str) -> None:
    """Note that dbopt manages no index of that name."""
    _fetch(connection, "index_managed_forget", {**asdict(target), "schema": schema, "name": name})


def managed(connection: Connection, target: Place) -> list[Managed]:
    """The indexes of a target that dbopt manages."""
    return [Managed(**row) for row in _fetch(connection, "index_managed", asdict(target))]


def runs(
    connection: Connection, target: Target | None = None, limit: int = MOST_RUNS
) -> list[IndexRun]:
    """The runs of a target (None: of all; with database "": of all of its server), newest first."""
    wanted = {
        "id": None,
        "server": target.server if target else None,
        "database": (target.database or None) if target else None,
        "limit": limit,
    }
    return [_run(row) for row in _fetch(connection, "index_runs", wanted)]


def run_of(connection: Connection, run: str) -> IndexRun | None:
    """The run of that id."""
    wanted = {"id": run, "server": None, "database": None, "limit": 1}
    found = [_run(row) for row in _fetch(connection, "index_runs", wanted)]
    return found[0] if found else None


def steps(connection: Connection, run: str) -> list[IndexStep]:
    """The steps of a run, in the order in which they began."""
    return [IndexStep(**row) for row in _fetch(connection, "index_steps", {"run": run})]


def _run(row: Row) -> IndexRun:
    place = Place(row.pop("server"), row.pop("database"), row.pop("system_identifier"))
    return IndexRun(target=place, **row)


def _fetch(connection: Connection, name: str, values: Mapping[str, Any]) -> list[Row]:
    unicode = connection.info.parameter_status("server_encoding") == "UTF8"
    params = {key: _storable(key, value, unicode) for key, value in values.items()}
    try:
        with translated("Recording a run in the store", store=True):
            cursor = connection.execute(statement(name), params)
            return cursor.fetchall() if cursor.description else []
    except StoreMissing:
        raise StoreMissing(
            "The store has no tables for runs of index changes: it is new, or older than dbopt.",
            hint="Run `dbopt migrate upgrade --schema-only`.",
        ) from None


def _storable(key: str, value: Any, unicode: bool) -> Any:
    if not isinstance(value, str):
        return value
    return storable(value, _CUT.get(key, MAX_SQL), unicode=unicode)
