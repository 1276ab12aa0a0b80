from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from dbopt.errors import MigrationRefused
from dbopt.gateway.link import Observed
from dbopt.gateway.supervisor import Supervisor
from dbopt.migrate import run, runner
from dbopt.migrate.direct import require_direct
from dbopt.pg.connect import connect
from dbopt.settings import Gateway, Server, Settings
from dbopt.verdict import Question, Verdict


class _Nobody:
    def observed(self, worker: int, message: Observed) -> None:
        """What passes is not of interest here."""

    async def asked(self, worker: int, question: Question) -> Verdict:
        return Verdict()


def test_the_server_itself_is_direct(pg_dsn: str) -> None:
    with connect(pg_dsn) as connection:
        require_direct(connection)


@pytest.mark.parametrize("act", [runner.upgrade, run.apply])
def test_through_our_own_gateway_a_migration_is_refused(
    pg_dsn: str, act: Callable[[Settings], object]
) -> None:
    settings = Settings(
        server=Server(dsn=pg_dsn),
        gateway=Gateway(port=0),
    )

    async def through_gateway() -> None:
        supervisor = Supervisor(settings, _Nobody())
        supervisor.listen()
        await supervisor.start()
        try:
            host, port = supervisor.address
            pooled = make_conninfo(pg_dsn, host=host, port=port)
            await asyncio.to_thread(act, replace(settings, server=Server(dsn=pooled)))
        finally:
            await supervisor.drain()

    with pytest.raises(MigrationRefused, match="is a connection pooler") as caught:
        asyncio.run(through_gateway())
    assert "server.dsn" in caught.value.hint
    with psycopg.connect(pg_dsn) as direct:
        assert direct.execute("SELECT to_regnamespace('dbopt')").fetchone() == (None,)
