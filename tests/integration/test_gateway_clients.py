"""psycopg and what only the gateway can tell: its pool, its socket, its limits.

What clients see, and that it is what PostgreSQL itself gives: tests/integration/clients.
"""

from __future__ import annotations

import asyncio

import psycopg

from tests.fix_gateway import Gateway, GatewayFactory


def test_unix_socket(gateway: Gateway) -> None:
    with gateway.connect(host=gateway.socket_dir) as connection:
        assert (1,) == connection.execute("SELECT 1").fetchone()


def test_prepared_statements_outlive_their_backend(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(pool__max_size=2, gateway__prepared_statements=3)
    with gateway.connect(prepare_threshold=0) as one, gateway.connect(prepare_threshold=0) as two:
        for turn in range(20):
            for n in range(7):
                row = one.execute(f"SELECT {n}, %s::int", (turn,)).fetchone()
                assert (n, turn) == row
                with two.transaction():  # takes the backend that `one` has just used
                    assert (n, -turn) == two.execute(f"SELECT {n}, %s::int", (-turn,)).fetchone()


def test_values_of_fifty_megabytes(gateway: Gateway) -> None:
    value = b"\x00\xffabc" * 10_000_000
    with gateway.connect() as connection:
        row = connection.execute("SELECT length(%s::bytea), %s::bytea", (value, value)).fetchone()
    assert row is not None
    assert (len(value), True) == (row[0], row[1] == value)


def test_async_clients_share_backends(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(pool__max_size=3)

    async def client(number: int) -> None:
        dsn = gateway.dsn(application_name=f"app-{number}")
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            for turn in range(20):
                query = "SELECT %s::int, %s::int, current_setting('application_name')"
                cursor = await connection.execute(query, (number, turn))
                assert (number, turn, f"app-{number}") == await cursor.fetchone()

    async def clients() -> None:
        await asyncio.gather(*[client(number) for number in range(20)])

    asyncio.run(clients())
    assert 3 >= gateway.pool.sv_idle
