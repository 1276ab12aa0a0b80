"""The two ways to a server that a client takes in these tests: direct, and through the gateway."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.fix_gateway import Gateway
from tests.integration.clients.neighbours import neighbours
from tests.support import wait_until

T = TypeVar("T")

PROGRAM_TIMEOUT = 60


class Done(NamedTuple):
    """What a program left behind."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Route:
    """Where a client connects to. The scenarios see nothing else, so both ways look the same."""

    host: str
    port: int
    user: str
    dbname: str
    password: str = field(default="", repr=False)

    @classmethod
    def of(cls, dsn: str) -> Route:
        parts: dict[str, Any] = conninfo_to_dict(dsn)
        host, port = str(parts["host"]), int(parts["port"])
        return cls(host, port, parts["user"], parts["dbname"], parts.get("password") or "")

    @property
    def parts(self) -> dict[str, Any]:
        """libpq's keywords."""
        known = {"host": self.host, "port": self.port, "user": self.user, "dbname": self.dbname}
        return {**known, "password": self.password} if self.password else known

    def dsn(self, **parameters: Any) -> str:
        return make_conninfo(**{**self.parts, "sslmode": "disable", **parameters})

    def url(self, scheme: str = "postgresql") -> str:
        password = f":{self.password}" if self.password else ""
        return f"{scheme}://{self.user}{password}@{self.host}:{self.port}/{self.dbname}"

    @property
    def environment(self) -> dict[str, str]:
        """What libpq's programs read."""
        names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "dbname": "PGDATABASE"}
        names["password"] = "PGPASSWORD"
        found = {names[key]: str(value) for key, value in self.parts.items()}
        return {"PATH": os.environ["PATH"], "LC_ALL": "C", "PGSSLMODE": "disable", **found}

    def run(self, program: Path | str, *arguments: str, stdin: str = "") -> Done:
        """Run a client program to its end."""
        done = subprocess.run(
            [str(program), *arguments],
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PROGRAM_TIMEOUT,
        )
        return Done(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True, slots=True)
class Both:
    """Runs a scenario direct and through the gateway, each in a database of its own, and compares.

    A scenario gives plain data: rows, types, column names, tags, SQLSTATEs, notices. While it runs
    through the gateway, neighbours use the same few backends between its transactions.
    """

    direct: Route
    pooled: Route
    gateway: Gateway
    neighbours: int

    def __call__(self, scenario: Callable[[Route], T]) -> T:
        """The result, which was the same both ways."""
        expected = scenario(self.direct)
        with neighbours(self.pooled.dsn(), self.neighbours):
            actual = scenario(self.pooled)
        assert expected == actual
        self.check_backends()
        return expected

    def check_backends(self) -> None:
        """Wait until no backend of ours is leased: a leaked one stays so."""
        wait_until(lambda: self._active() == 0, what="all backends to be idle again")

    def _active(self) -> int:
        self.gateway.seen.next_frame()
        pools = self.gateway.seen.snapshots[0].pools
        return sum(pool.sv_active for pool in pools if pool.database == self.pooled.dbname)
