"""Pitfalls of TLS in mid-session."""

from __future__ import annotations

import pytest

from tests.fix_gateway import GatewayFactory
from tests.fix_tls import Authority, TlsServer


@pytest.mark.parametrize("server_too", [False, True])
def test_pitfall_tls_pending_data_is_not_left_behind(
    make_gateway: GatewayFactory, tls_pg: TlsServer, authority: Authority, server_too: bool
) -> None:
    """odyssey#1459: what TLS has read and not given on makes no socket readable again."""
    pair = authority.issue("gateway", ["127.0.0.1"])
    gateway = make_gateway(
        tls_pg.dsn(sslmode="require" if server_too else "disable"),
        pool__max_size=1,
        gateway__tls_mode="require",
        gateway__tls_cert=str(pair.cert),
        gateway__tls_key=str(pair.key),
    )
    with gateway.connect(sslmode="require") as connection:
        for size in (1, 16_383, 16_384, 16_385, 65_536, 3 * 16_384 - 100, 2_000_000):
            text = "t" * size
            row = connection.execute("SELECT %s::text, length(%s::text)", (text, text)).fetchone()
            assert (text, size) == row
        with connection.pipeline():
            found = [connection.execute("SELECT repeat('p', %s)", (n * 997,)) for n in range(99)]
        assert [n * 997 for n in range(99)] == [len(cursor.fetchall()[0][0]) for cursor in found]
