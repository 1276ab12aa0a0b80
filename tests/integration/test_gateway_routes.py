"""Databases by name and wildcard, with their own names, users and sizes; limits on clients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
from psycopg import sql

from dbopt.settings import Database, User
from tests.fix_gateway import Gateway, GatewayFactory
from tests.integration.gateway_support import connected, query, raw_client, sqlstates
from tests.support import wait_until

Connection = psycopg.Connection[Any]


@pytest.fixture
def real(pg_conn: Connection) -> str:
    """The name of the served database."""
    return pg_conn.info.dbname


@pytest.fixture
def role(pg_conn: Connection) -> Iterator[str]:
    """Another role of the server."""
    name = f"other_{pg_conn.info.dbname}"[:63]
    pg_conn.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name)))
    yield name
    pg_conn.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def value(connection: Connection, statement: str) -> Any:
    (row,) = connection.execute(statement).fetchall()
    return row[0]


def test_a_database_of_another_name(make_gateway: GatewayFactory, real: str) -> None:
    gateway = make_gateway(databases={"shop": Database(dbname=real)})
    with gateway.connect(dbname="shop") as connection:
        assert real == value(connection, "SELECT current_database()")
    assert "shop" == gateway.pool.database


def test_the_dsn_of_a_database_leads_elsewhere(
    make_gateway: GatewayFactory, pg_dsn: str, real: str
) -> None:
    gateway = make_gateway(
        "host=127.0.0.1 port=1 user=nobody", databases={"shop": Database(dsn=pg_dsn)}
    )
    with gateway.connect(
        dbname="shop", user=psycopg.conninfo.conninfo_to_dict(pg_dsn)["user"]
    ) as c:
        assert real == value(c, "SELECT current_database()")


def test_a_wildcard_takes_who_has_no_section(make_gateway: GatewayFactory, real: str) -> None:
    sections = {"shop": Database(dbname="is_not_there"), "*": Database(dbname=real)}
    gateway = make_gateway(databases=sections)
    for name in ("any", "of", "these", "*"):
        with gateway.connect(dbname=name) as connection:
            assert real == value(connection, "SELECT current_database()")


def test_a_wildcard_keeps_the_name_that_the_client_gave(
    make_gateway: GatewayFactory, real: str
) -> None:
    gateway = make_gateway(databases={"*": Database(max_size=1)})
    with gateway.connect() as connection:
        assert real == value(connection, "SELECT current_database()")
    assert 1 == gateway.pool.max_size


def test_a_database_without_a_section(make_gateway: GatewayFactory, real: str) -> None:
    gateway = make_gateway(databases={"shop": Database(dbname=real)})
    with pytest.raises(psycopg.OperationalError, match=f'database "{real}" does not exist'):
        gateway.connect()
    with connected(gateway.host, gateway.port) as raw:
        assert ["3D000"] == sqlstates(raw.login(user="ann", database=real))


def test_a_database_with_its_own_user(make_gateway: GatewayFactory, real: str, role: str) -> None:
    gateway = make_gateway(databases={"shop": Database(dbname=real, user=role)})
    with gateway.connect(dbname="shop", user="anybody") as connection:
        assert role == value(connection, "SELECT current_user")


def test_each_database_and_user_has_its_own_size(
    make_gateway: GatewayFactory, real: str, role: str
) -> None:
    gateway = make_gateway(
        pool__max_size=3,
        databases={"two": Database(dbname=real, max_size=2), "three": Database(dbname=real)},
        users={role: User(max_size=1)},
    )
    sizes = {}
    for name in ("two", "three"):
        for user in ("", role):
            with gateway.connect(dbname=name, **({"user": user} if user else {})) as connection:
                connection.execute("SELECT 1")
    gateway.seen.next_frame()
    for pool in gateway.seen.snapshots[0].pools:
        sizes[pool.database, pool.user == role] = pool.max_size
    assert {
        ("two", False): 2, ("three", False): 3, ("two", True): 1, ("three", True): 1,
    } == sizes  # fmt: skip


def test_the_size_of_a_database_is_kept(make_gateway: GatewayFactory, real: str) -> None:
    gateway = make_gateway(databases={"shop": Database(dbname=real, max_size=1)})
    with ExitStack() as stack:
        clients = [stack.enter_context(raw_client(gateway.dsn(dbname="shop"))) for _ in range(3)]
        for client in clients:
            client.send(query("BEGIN; SELECT 1"))
        wait_until(lambda: gateway.pool.cl_waiting == 2, what="two in the queue")
        assert 1 == gateway.pool.sv_active


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"databases": {"*": Database(max_db_clients=2)}}, "max_db_clients is 2"),
        ({"pool__max_db_clients": 2}, "max_db_clients is 2"),
        ({"pool__max_user_clients": 2}, "max_user_clients is 2"),
    ],
)
def test_no_more_clients_than_allowed(
    make_gateway: GatewayFactory, settings: dict[str, Any], said: str
) -> None:
    gateway = make_gateway(**settings)
    with gateway.connect() as first, gateway.connect() as second:
        with pytest.raises(psycopg.OperationalError, match=said):
            gateway.connect()
        first.execute("SELECT 1")
        second.execute("SELECT 1")
    wait_until(lambda: enters(gateway), what="room for a client again")


def enters(gateway: Gateway, database: str = "") -> bool:
    try:
        gateway.connect(**({"dbname": database} if database else {})).close()
    except psycopg.OperationalError:
        return False
    return True


def test_a_limit_of_one_user_is_not_anothers(make_gateway: GatewayFactory, role: str) -> None:
    gateway = make_gateway(users={role: User(max_user_clients=1)})
    with ExitStack() as stack:
        for user in ({"user": role}, {}, {}):
            stack.enter_context(gateway.connect(**user))
        with pytest.raises(psycopg.OperationalError, match="max_user_clients is 1"):
            gateway.connect(user=role)


def test_a_reload_brings_limits_and_databases(make_gateway: GatewayFactory, real: str) -> None:
    gateway = make_gateway()
    with gateway.connect() as connection:
        gateway.reload(databases={"shop": Database(dbname=real, max_db_clients=1)})
        wait_until(lambda: enters(gateway, "shop"), what="the new database")
        connection.execute("SELECT 1")  # who is in stays
        with pytest.raises(psycopg.OperationalError, match="does not exist"):
            gateway.connect()


def test_a_reload_leads_a_pool_elsewhere(make_gateway: GatewayFactory, real: str) -> None:
    gateway = make_gateway(databases={"shop": Database(dbname="is_not_there")})
    assert not enters(gateway, "shop")  # the pool lives on while clients try
    gateway.reload(databases={"shop": Database(dbname=real)})
    wait_until(lambda: enters(gateway, "shop"), what="the database where it is now")
