"""Other clients of the same pool, which use its backends between a scenario's transactions."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.integration.gateway_support import (
    SYNC,
    Raw,
    bind,
    describe,
    execute,
    parse,
    query,
    raw_client,
    rows,
)

PAUSE = 0.001
HOLD = "BEGIN; SELECT pg_sleep(0.001); SELECT 1/0"
"""It keeps its backend for a moment, so that the next client gets another one."""
NAMES = ("", "_pg3_0", "_pg3_1", "__asyncpg_stmt_1__", "pg8000_statement_0", "s1", "by name")
"""Statement names that the clients under test use too."""


class Neighbour(threading.Thread):
    """A client with settings, statements and errors of its own. It checks its own replies."""

    def __init__(self, dsn: str, number: int) -> None:
        super().__init__(name=f"neighbour {number}")
        self.failure: BaseException | None = None
        self.settled = threading.Event()
        self._dsn = dsn
        self._number = number
        self._turns = 0
        self._ended = threading.Event()

    def run(self) -> None:
        settings = {"TimeZone": f"Etc/GMT+{self._number}", "DateStyle": "SQL, DMY"}
        try:
            names = {"application_name": self.name, "search_path": "pg_catalog"}
            with raw_client(self._dsn, **settings, **names) as raw:
                while not self._ended.wait(PAUSE):
                    self._turn(raw)
        except BaseException as error:
            self.failure = error
        self.settled.set()

    def _turn(self, raw: Raw) -> None:
        name = NAMES[self._turns % len(NAMES)]
        known = name and self._turns >= len(NAMES)
        sql = f"SELECT {self._number}, $1::text, current_setting('TimeZone'), '{name}'"
        prepare = b"" if known else parse(sql, name)
        found = raw.ask(prepare + bind("x", name=name) + describe("P") + execute() + SYNC)
        zone = b"Etc/GMT+%d" % self._number
        assert [(b"%d" % self._number, b"x", zone, name.encode())] == rows(found), found
        raw.ask(query(HOLD) + query("ROLLBACK"), ready=2)
        self._turns += 1
        if self._turns > len(NAMES):
            self.settled.set()

    def stop(self) -> None:
        self._ended.set()
        self.join()
        if self.failure is not None:
            raise self.failure


@contextmanager
def neighbours(dsn: str, count: int) -> Iterator[None]:
    """`count` neighbours that are at work when this begins; raises what went wrong for one."""
    threads = [Neighbour(dsn, number) for number in range(1, count + 1)]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            assert thread.settled.wait(60.0), f"{thread.name} waits for its first replies"
        yield
    finally:
        for thread in threads:
            thread.stop()
