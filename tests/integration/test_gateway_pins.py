"""Pins: what a statement that failed leaves in its session is seen too."""

from __future__ import annotations

import psycopg
import pytest

from tests.fix_gateway import GatewayFactory

TAKES = "SELECT pg_advisory_lock(8), 1 / (length(pg_sleep(0)::text) * 0)"


@pytest.mark.parametrize("prepare", [False, True], ids=["simple", "extended"])
def test_a_lock_that_a_failed_statement_took_pins_its_client(
    make_gateway: GatewayFactory, pg_dsn: str, prepare: bool
) -> None:
    gateway = make_gateway(pool__max_size=2)
    with gateway.connect() as one, psycopg.connect(pg_dsn, autocommit=True) as admin:
        with pytest.raises(psycopg.errors.DivisionByZero):
            one.execute(TAKES, prepare=prepare)
        with gateway.connect() as two:
            assert (False,) == two.execute("SELECT pg_try_advisory_lock(8)").fetchone()
        assert (True,) == one.execute("SELECT pg_advisory_unlock(8)").fetchone()
        held = admin.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'").fetchall()
    assert [] == held
    assert 1 == gateway.pool.pins
