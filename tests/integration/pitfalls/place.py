"""Where pitfalls are tried: a gateway, a tap behind it, and a way past both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg

from tests.fix_gateway import Gateway, Runner, running
from tests.integration.gateway_support import Message, Raw, query, raw_client, rows
from tests.integration.pitfalls.tap import Tap, tapped
from tests.support import wait_until

Clients = list[Raw]

FLUSH_INTERVAL = 0.02
"""Seconds between two reports of a worker, which nearly each test waits for."""


class Place:
    """`admin` is a connection straight to the server."""

    def __init__(
        self, dsn: str, gateway: Gateway, tap: Tap, admin: psycopg.Connection[Any]
    ) -> None:
        self.dsn = dsn
        self.gateway = gateway
        self.tap = tap
        self.admin = admin

    @contextmanager
    def clients(self, count: int, **settings: str) -> Iterator[Clients]:
        """That many, logged in; and at the end, when they are gone, nobody has a backend."""
        with ExitStack() as stack:
            dsn = self.gateway.dsn()
            yield [stack.enter_context(raw_client(dsn, **settings)) for _ in range(count)]
        wait_until(lambda: self.gateway.pool.cl_active == 0, what="no client with a backend")

    @contextmanager
    def client(self, **settings: str) -> Iterator[Raw]:
        with self.clients(1, **settings) as (raw,):
            yield raw

    def sql(self, text: str) -> Any:
        """The first row of what the server itself answers."""
        cursor = self.admin.execute(text.encode())
        return cursor.fetchone() if cursor.description else None

    def wait_queued(self, count: int = 1) -> None:
        """Until that many clients wait for a backend."""
        wait_until(lambda: self.gateway.pool.cl_waiting == count, what=f"{count} in the queue")

    def renew(self) -> None:
        """Take all backends away that nobody uses: the next is new, and knows nothing."""
        for link in self.tap.backends:
            link.cut()
            assert link.closed.wait(10.0)
        self.gateway.seen.next_frame()  # by then the gateway has seen it

    def wait_for(self, sql: str, expected: Any = True) -> None:
        """Until the server gives this as the one value of `sql`."""
        wait_until(lambda: self.sql(sql)[0] == expected, what=sql)


@contextmanager
def place(dsn: str, runner: Runner, **overrides: Any) -> Iterator[Place]:
    overrides = {"trace__flush_interval": FLUSH_INTERVAL} | overrides
    with (
        tapped(dsn) as tap,
        running(tap.dsn, runner, **overrides) as gateway,
        psycopg.connect(dsn, autocommit=True) as admin,
    ):
        yield Place(dsn, gateway, tap, admin)


def value(found: list[Message]) -> str | None:
    """The one value among replies."""
    ((data,),) = rows(found)
    return None if data is None else data.decode()


def ask(raw: Raw, sql: str) -> str | None:
    """The one value that a query gives."""
    return value(raw.ask(query(sql)))
