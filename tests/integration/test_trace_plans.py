"""Plan capture against the real server: reads are planned, a write never reaches it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import psycopg
import pytest

from dbopt.pg.connect import connect_async
from dbopt.pg.explain import explain
from dbopt.pg.plan import Plan
from dbopt.sql.analyze import Analyzer
from dbopt.sql.fingerprint import fingerprint
from dbopt.trace.plans import PlanCapture
from dbopt.trace.slow import SlowLog
from tests.unit.trace.observations import FakeClock, slow

READ = "SELECT * FROM users WHERE email = 'topsecret@example.org'"


@pytest.fixture
def dsn(pg_dsn: str) -> str:
    with psycopg.connect(pg_dsn, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE users (id int PRIMARY KEY, email text);"
            "INSERT INTO users SELECT g, 'u' || g FROM generate_series(1, 5000) g;"
            "ANALYZE users"
        )
    return pg_dsn


class Sidecar:
    """The parts as the daemon binds them. `asked` is what EXPLAIN was called with."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.asked: list[str] = []
        self.clock = FakeClock()
        analyzer = Analyzer()
        self.plans = PlanCapture(self._explain, analyzer, 60, self.clock)
        # As bad as can be: every statement is called a read.
        self.slow = SlowLog(100, lambda number: "read")
        self.slow.subscribe(self.plans.offer)

    async def _explain(self, database: str, user: str, sql: str) -> Plan:
        self.asked.append(sql)
        async with await connect_async(self.dsn) as connection:
            return await explain(connection, sql)

    async def saw(self, statements: Sequence[str]) -> None:
        self.slow.add([slow(sql) for sql in statements])
        await asyncio.wait_for(self.plans.drained(), 20)


def test_a_slow_read_gets_its_plan_without_its_literal(dsn: str) -> None:
    async def main() -> None:
        sidecar = Sidecar(dsn)
        sidecar.plans.start()
        await sidecar.saw([READ])
        plan = sidecar.plans.latest(fingerprint(READ))
        assert plan is not None
        assert "Seq Scan on public.users" in plan.lines[0]
        assert plan.cost > 50
        assert "topsecret" not in str(plan.to_dict())
        await sidecar.plans.stop()

    asyncio.run(main())


def test_a_new_index_changes_the_shape(dsn: str) -> None:
    async def main() -> None:
        sidecar = Sidecar(dsn)
        sidecar.plans.start()
        await sidecar.saw([READ])
        before = sidecar.plans.latest(fingerprint(READ))
        async with await connect_async(dsn) as connection:
            await connection.execute("CREATE INDEX users_email ON users (email)")
        sidecar.clock.now += 300
        await sidecar.saw([READ])
        after = sidecar.plans.latest(fingerprint(READ))
        assert before is not None
        assert after is not None
        assert (False, True) == (before.changed, after.changed)
        assert before.shape == after.previous_shape
        assert "users_email" in "\n".join(after.lines)
        assert after.cost < before.cost / 10
        await sidecar.plans.stop()

    asyncio.run(main())


def test_parameters_get_the_generic_plan(dsn: str) -> None:
    async def main() -> None:
        sidecar = Sidecar(dsn)
        sidecar.plans.start()
        sql = "SELECT email FROM users WHERE id = $1"
        await sidecar.saw([sql])
        plan = sidecar.plans.latest(fingerprint(sql))
        assert plan is not None
        assert "users_pkey" in plan.lines[0]
        await sidecar.plans.stop()

    asyncio.run(main())


WRITES = (
    "INSERT INTO users VALUES (100001, 'x')",
    "UPDATE users SET email = 'x'",
    "DELETE FROM users",
    "TRUNCATE users",
    "DROP TABLE users",
    "WITH gone AS (DELETE FROM users RETURNING *) SELECT count(*) FROM gone",
    "SELECT * INTO copy FROM users",
    "SELECT id FROM users FOR UPDATE",
    "SELECT pg_terminate_backend(1)",
    "EXPLAIN ANALYZE DELETE FROM users",
    "SELECT 1; DELETE FROM users",
    "MERGE INTO users u USING users s ON u.id = s.id WHEN MATCHED THEN DELETE",
)


def test_a_write_is_never_explained(dsn: str) -> None:
    async def main() -> None:
        sidecar = Sidecar(dsn)
        sidecar.plans.start()
        await sidecar.saw(WRITES)
        assert [] == sidecar.asked
        assert (len(WRITES), 0, 0) == (
            sidecar.plans.refused, sidecar.plans.captured, sidecar.plans.failures,
        )  # fmt: skip
        await sidecar.plans.stop()

    asyncio.run(main())
    with psycopg.connect(dsn) as connection:
        assert (5000,) == connection.execute("SELECT count(*) FROM users").fetchone()


def test_a_table_that_is_gone_is_a_failure_and_the_next_plan_is_taken(dsn: str) -> None:
    async def main() -> None:
        sidecar = Sidecar(dsn)
        sidecar.plans.start()
        await sidecar.saw(["SELECT * FROM no_such_table", READ])
        assert (1, 1) == (sidecar.plans.failures, sidecar.plans.captured)
        await sidecar.plans.stop()

    asyncio.run(main())
