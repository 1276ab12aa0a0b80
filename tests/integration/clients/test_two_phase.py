"""Two-phase commit by the clients that have it, on a server that allows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from tests.fix_gateway import Gateway, Runner, running
from tests.fix_pg import Server, embedded
from tests.integration.clients.conftest import OFTEN
from tests.integration.clients.routes import Both, Route

psycopg2 = pytest.importorskip("psycopg2", reason="missing: psycopg2")
dbapi = pytest.importorskip("pg8000.dbapi", reason="missing: pg8000")

COUNT = "SELECT count(*) FROM t"


@pytest.fixture(scope="module")
def pg_backend() -> Iterator[Server]:
    with embedded(settings={"max_prepared_transactions": "10"}) as server:
        yield server


@pytest.fixture(scope="module")
def clients_gateway(pg_backend: Server, gateway_loop: Runner) -> Iterator[Gateway]:
    with running(pg_backend.dsn, gateway_loop, pool__max_size=2, **OFTEN) as gateway:
        yield gateway


@pytest.fixture(autouse=True)
def _nothing_left(both: Both) -> Iterator[None]:
    """A prepared transaction would keep its database from being dropped."""
    yield
    for name in (both.direct.dbname, both.pooled.dbname):
        server = both.gateway.settings.server.dsn
        with psycopg.connect(server, dbname=name, autocommit=True) as connection:
            left = "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()"
            for (gid,) in connection.execute(left).fetchall():
                connection.execute(sql.SQL("ROLLBACK PREPARED {}").format(sql.Literal(gid)))


def by_psycopg(route: Route) -> Any:
    return psycopg.connect(route.dsn())


def by_psycopg2(route: Route) -> Any:
    return psycopg2.connect(route.dsn())


def by_pg8000(route: Route) -> Any:
    parts = route.parts
    return dbapi.connect(database=parts.pop("dbname"), **parts)


def make_table(route: Route) -> None:
    with psycopg.connect(route.dsn()) as connection:
        connection.execute("CREATE TABLE t (x int)")


def count(route: Route) -> Any:
    with psycopg.connect(route.dsn()) as connection:
        return connection.execute(COUNT).fetchone()


@pytest.mark.parametrize("connect", [by_psycopg, by_psycopg2, by_pg8000])
def test_two_phases(both: Both, connect: Callable[[Route], Any]) -> None:
    def scenario(route: Route) -> list[Any]:
        make_table(route)
        found: list[Any] = []
        connection, later = connect(route), connect(route)
        cursor = connection.cursor()
        for end in ("commit", "rollback", "recovered", "one phase"):
            # Names are the whole server's: both ways use one.
            xid = connection.xid(0, f"{route.dbname} {end}", "")
            connection.tpc_begin(xid)
            cursor.execute("INSERT INTO t VALUES (1)")
            if end != "one phase":
                connection.tpc_prepare()
            if end == "recovered":
                connection.close()
                pending = [each for each in later.tpc_recover() if each[1] == xid[1]]
                found += [[(each[0], each[2]) for each in pending]]
                later.tpc_commit(pending[0])
                connection = connect(route)
                cursor = connection.cursor()
            else:
                getattr(connection, "tpc_rollback" if end == "rollback" else "tpc_commit")()
            found += [count(route)]
        for each in (connection, later):
            each.close()
        return found

    assert [(1,), (1,), [(0, "")], (2,), (3,)] == both(scenario)


def test_sqlalchemy(both: Both) -> None:
    def scenario(route: Route) -> list[Any]:
        make_table(route)
        engine = sa.create_engine(route.url("postgresql+psycopg"))
        found: list[Any] = []
        with engine.connect() as connection:
            for number in range(4):
                transaction = connection.begin_twophase(xid=f"{route.dbname} sa {number}")
                connection.execute(sa.text("INSERT INTO t VALUES (1)"))
                transaction.prepare()
                transaction.commit() if number % 2 else transaction.rollback()
                found += [connection.scalar(sa.text(COUNT))]
                connection.rollback()
            found += [connection.recover_twophase()]
        engine.dispose()
        return found

    assert [0, 1, 1, 2, []] == both(scenario)
