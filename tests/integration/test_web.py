"""What HTTP shows of a real daemon: statements through its gateway, to the real server."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families
from psycopg.conninfo import conninfo_to_dict

from dbopt import configfile
from dbopt.daemon import Daemon
from dbopt.sql.fingerprint import fingerprint, fingerprint_hex
from tests.support import wait_until_async

SECRET = "SELECT count(*) FROM pg_class WHERE relname = 'topsecret'"
WRITE = "INSERT INTO note VALUES (987654)"


class Sidecar:
    """A running daemon, a client of its HTTP and the way through its gateway."""

    def __init__(self, daemon: Daemon, http: httpx.AsyncClient, dsn: str) -> None:
        self.daemon = daemon
        self.http = http
        given = conninfo_to_dict(dsn)
        host, port = daemon.gateway
        self._route: dict[str, Any] = {
            "host": host, "port": port, "dbname": given["dbname"], "user": given["user"],
            "application_name": "shop",
        }  # fmt: skip

    async def run(self, *statements: str) -> None:
        async with await psycopg.AsyncConnection.connect(
            **self._route, autocommit=True, sslmode="disable", connect_timeout=10
        ) as connection:
            for one in statements:
                await connection.execute(one.encode())

    async def get(self, path: str) -> Any:
        answer = await self.http.get(path)
        assert 200 == answer.status_code
        return answer.json()

    async def statement(self, sql: str) -> dict[str, Any] | None:
        wanted = fingerprint_hex(fingerprint(sql))
        found = await self.get("/statements?limit=1000")
        return next((one for one in found if one["fingerprint"] == wanted), None)

    async def counted(self, sql: str, calls: int) -> dict[str, Any] | None:
        found = await self.statement(sql)
        return found if found and found["calls"] == calls else None

    async def metrics(self) -> dict[tuple[str, ...], float]:
        text = (await self.http.get("/metrics")).text
        return {
            (sample.name, *sorted(sample.labels.values())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name.startswith("dbopt_")
        }


def with_sidecar(dsn: str, work: Callable[[Sidecar], Awaitable[None]], *given: str) -> None:
    settings = configfile.load(
        None, {},
        [
            f"server.dsn={dsn}", "gateway.port=0", "http.port=0", "stats.enabled=false",
            "trace.flush_interval=0.05", *given,
        ],
    )  # fmt: skip

    async def main() -> None:
        daemon = Daemon(settings, lambda: settings)
        ready = asyncio.Event()
        running = asyncio.create_task(daemon.run(lambda _: ready.set()))
        starting = asyncio.create_task(ready.wait())
        await asyncio.wait([running, starting], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            starting.cancel()
            await running
        host, port = daemon.http.address
        try:
            async with httpx.AsyncClient(base_url=f"http://{host}:{port}") as http:
                await work(Sidecar(daemon, http, dsn))
        finally:
            daemon.stop()
            await running

    asyncio.run(main())


@pytest.fixture
def dsn(pg_dsn: str) -> str:
    with psycopg.connect(pg_dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE note (id int)")
    return pg_dsn


def test_what_passes_the_gateway_is_shown(dsn: str) -> None:
    database = str(conninfo_to_dict(dsn)["dbname"])

    async def work(sidecar: Sidecar) -> None:
        await sidecar.run(SECRET, SECRET, WRITE)
        read = await wait_until_async(lambda: sidecar.counted(SECRET, 2))
        write = await wait_until_async(lambda: sidecar.counted(WRITE, 1))
        assert read is not None
        assert write is not None
        assert ("read", "insert") == (read["kind"], write["kind"])
        assert "SELECT count(*) FROM pg_class WHERE relname = $1" == read["query"]
        assert ([database], ["shop"]) == (read["databases"], read["applications"])
        assert 0 < read["p50_ms"] <= read["p99_ms"] <= read["max_ms"] <= read["total_ms"]
        assert read["complexity"]["score"] >= 0

        status = await sidecar.get("/status")
        (shown,) = [one for one in status["pools"] if one["database"] == database]
        assert shown["query_count"] >= 3
        assert shown["received"] > len(SECRET)
        assert [0] == [one["number"] for one in status["workers"]]
        assert (await sidecar.get("/readyz"))["ready"]

        async def judged() -> bool:
            found = await sidecar.metrics()
            return found.get(("dbopt_statements_total", database, "insert")) == 1

        await wait_until_async(judged)
        metrics = await sidecar.metrics()
        assert 2 == metrics["dbopt_statements_total", database, "read"]
        assert 3 == metrics["dbopt_statement_duration_seconds_count", database]
        assert 1 == metrics["dbopt_gateway_workers",]

    with_sidecar(dsn, work)


def test_a_failed_statement_is_counted_by_its_sqlstate(dsn: str) -> None:
    async def work(sidecar: Sidecar) -> None:
        with pytest.raises(psycopg.errors.UndefinedTable):
            await sidecar.run("SELECT * FROM no_such_table")

        async def counted() -> bool:
            found = await sidecar.metrics()
            return found.get(("dbopt_statement_errors_total", "42P01")) == 1

        await wait_until_async(counted)

    with_sidecar(dsn, work)


def test_a_slow_read_has_its_plan_and_a_slow_write_none(dsn: str) -> None:
    async def work(sidecar: Sidecar) -> None:
        await sidecar.run(WRITE, SECRET)
        path = f"/plans/{fingerprint_hex(fingerprint(SECRET))}"

        async def planned() -> bool:
            return (await sidecar.http.get(path)).status_code == 200

        await wait_until_async(planned)
        plan = await sidecar.get(path)
        assert any("pg_class" in line for line in plan["lines"])
        write = f"/plans/{fingerprint_hex(fingerprint(WRITE))}"
        assert 404 == (await sidecar.http.get(write)).status_code
        kinds = {one["query"]: one["kind"] for one in await sidecar.get("/slow")}
        assert "insert" == kinds["INSERT INTO note VALUES ($1)"]
        assert 0 == sidecar.daemon.plans.failures
        for page in (path, "/slow", "/statements", "/status", "/metrics"):
            text = (await sidecar.http.get(page)).text
            assert "topsecret" not in text
            assert "987654" not in text

    with_sidecar(dsn, work, "trace.slow=0", "pool.min_size=0")


def test_counters_do_not_go_down_when_a_worker_is_killed(dsn: str) -> None:
    database = str(conninfo_to_dict(dsn)["dbname"])
    user = str(conninfo_to_dict(dsn)["user"])
    queries = ("dbopt_pool_queries_total", *sorted((database, user)))

    async def work(sidecar: Sidecar) -> None:
        await sidecar.run(*[SECRET] * 5)

        async def reached(count: int) -> bool:
            return (await sidecar.metrics()).get(queries, 0) >= count

        await wait_until_async(lambda: reached(5))
        before = (await sidecar.metrics())[queries]
        (old,) = sidecar.daemon.supervisor.workers.values()
        os.kill(old, signal.SIGKILL)

        async def replaced() -> bool:
            pids = [one["pid"] for one in (await sidecar.get("/status"))["workers"]]
            return bool(pids) and old not in pids

        await wait_until_async(replaced)
        metrics = await sidecar.metrics()
        assert before == metrics[queries]
        assert 1 == metrics["dbopt_gateway_worker_restarts_total",]
        await sidecar.run(*[SECRET] * 2)
        await wait_until_async(lambda: reached(int(before) + 2))
        # The new worker sends the text anew, the old one's counts stay.
        await wait_until_async(lambda: sidecar.counted(SECRET, 7))

    with_sidecar(dsn, work)
