"""One gateway with few backends a module; two new databases a test, one a way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dbopt.guard.control import GuardControl
from dbopt.sql.analyze import Analyzer
from tests.fix_gateway import Gateway, Runner, running
from tests.fix_pg import Server, fresh_database
from tests.integration.clients.routes import Both, Route

OFTEN = {"trace__flush_interval": 0.01}
"""How often the worker tells of its backends, which each test waits for at its end."""


@pytest.fixture(scope="module")
def pool_size() -> int:
    """The backends of a pool; a module may override it."""
    return 2


@pytest.fixture(scope="module")
def neighbour_count() -> int:
    """The clients that use the pool meanwhile; a module may override it."""
    return 2


@pytest.fixture(scope="module")
def guarded() -> bool:
    """Whether the guard judges each statement before it runs, by its defaults."""
    return False


@pytest.fixture(scope="module")
def clients_gateway(
    pg_backend: Server, gateway_loop: Runner, pool_size: int, guarded: bool
) -> Iterator[Gateway]:
    """It serves any database of the server, each with a pool of its own."""
    mode = "enforce" if guarded else "observe"
    options = {"pool__max_size": pool_size, "guard__mode": mode, **OFTEN}
    with running(pg_backend.dsn, gateway_loop, **options) as gateway:
        if not guarded:
            yield gateway
            return
        guard = GuardControl(gateway.settings, Analyzer(), text_of=str, cost=no_cost, forget=forget)
        gateway.seen.verdict = guard.asked
        yield gateway
        assert guard.questions
        guard.close()


async def no_cost(*_: str) -> float:
    return 0.0


def forget(_: list[int]) -> None:
    """Nothing changes meanwhile."""


@pytest.fixture
def both(
    pg_backend: Server, pg_dsn: str, clients_gateway: Gateway, neighbour_count: int
) -> Iterator[Both]:
    with fresh_database(pg_backend) as served:
        pooled = Route.of(clients_gateway.dsn(dbname=Route.of(served).dbname))
        yield Both(Route.of(pg_dsn), pooled, clients_gateway, neighbour_count)
