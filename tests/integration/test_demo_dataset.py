"""The AI Skills data set, its declared indexes and its workload, on a real server."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbopt.demo import dataset, workload
from dbopt.demo.operations import OPERATIONS
from dbopt.demo.population import STATUSES, Population, email_of
from dbopt.errors import ConnectError, UsageError
from dbopt.pg.connect import Connection, connect
from tests.fix_pg import Server, fresh_database
from tests.support import wait_until

SCALE = 0.02
ROWS = {"users": 1_000, "lessons": 40, "user_progress": 6_000, "project_submissions": 2_000}
DECLARATIONS = sorted(Path(__file__).parents[2].joinpath("indexes").glob("*.sql"))
TERMINATE = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE application_name = 'ai-skills' AND datname = current_database()"
)


@pytest.fixture
def own(pg_dsn: str) -> Iterator[Connection]:
    with connect(pg_dsn) as connection:
        yield connection


@pytest.fixture
def loaded(own: Connection) -> Connection:
    dataset.load(own, SCALE)
    return own


def column(connection: Connection, query: str) -> list[object]:
    rows = connection.execute(query.encode()).fetchall()
    return [next(iter(row.values())) for row in rows]


def declare_indexes(connection: Connection) -> None:
    for path in DECLARATIONS:
        connection.execute(path.read_bytes())


def test_load_reports_progress(own: Connection) -> None:
    reports: list[tuple[str, int, int]] = []
    rows = dataset.load(own, SCALE, lambda *report: reports.append(report))
    assert rows == ROWS
    for table, count in ROWS.items():
        assert column(own, f"SELECT count(*) FROM {table}") == [count]
        assert (table, 0, count) in reports
        assert (table, count, count) in reports


def test_load_by_dsn(pg_dsn: str) -> None:
    assert dataset.load(pg_dsn, 0.001) == {
        "users": 50,
        "lessons": 2,
        "user_progress": 300,
        "project_submissions": 100,
    }


def test_load_twice(loaded: Connection) -> None:
    assert dataset.is_loaded(loaded)
    with pytest.raises(UsageError, match="already"):
        dataset.load(loaded, SCALE)


def test_population(loaded: Connection) -> None:
    assert dataset.population(loaded) == Population(users=1_000, lessons=40)


def test_same_data_each_time(loaded: Connection, pg_backend: Server) -> None:
    digest = (
        "SELECT md5(string_agg(concat_ws(',', user_id, lesson_id, score), ';' ORDER BY id))"
        " FROM user_progress"
    )
    with fresh_database(pg_backend) as dsn, connect(dsn) as other:
        dataset.load(other, SCALE)
        expected = column(other, digest)
    assert column(loaded, digest) == expected


def test_busy_users_have_most_rows(loaded: Connection) -> None:
    counts = "SELECT count(*) FROM user_progress GROUP BY user_id ORDER BY count(*) DESC LIMIT 100"
    share = sum(int(str(count)) for count in column(loaded, counts)) / ROWS["user_progress"]
    # The busiest tenth has the square root of a tenth: 32 %, and 10 % if there were no skew.
    assert 0.25 < share < 0.42


def test_statuses_have_their_shares(loaded: Connection) -> None:
    query = "SELECT status FROM project_submissions GROUP BY status ORDER BY count(*) DESC"
    assert column(loaded, query) == list(STATUSES)


def test_times_are_recent_and_some_are_missing(loaded: Connection) -> None:
    recent = "SELECT count(*) FROM user_progress WHERE started_at > now() - interval '73 days'"
    assert int(str(column(loaded, recent)[0])) > 0.2 * ROWS["user_progress"]
    open_share = "SELECT avg((completed_at IS NULL)::int)::float8 FROM user_progress"
    assert column(loaded, open_share) == [pytest.approx(0.2, abs=0.03)]
    future = "SELECT count(*) FROM user_progress WHERE completed_at > now()"
    assert column(loaded, future) == [0]


def test_addresses_are_those_that_the_workload_asks_for(loaded: Connection) -> None:
    assert column(loaded, "SELECT email FROM users WHERE id = 7") == [email_of(7)]


def test_new_rows_get_new_ids(loaded: Connection) -> None:
    query = "INSERT INTO user_progress (user_id, lesson_id) VALUES (1, 1) RETURNING id"
    assert column(loaded, query) == [ROWS["user_progress"] + 1]


def test_only_keys_are_indexed(loaded: Connection) -> None:
    query = "SELECT indexname FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"
    assert column(loaded, query) == [f"{table}_pkey" for table in sorted(ROWS)]
    foreign = "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND convalidated"
    assert column(loaded, foreign) == [3]


def test_declared_indexes_can_be_built(loaded: Connection) -> None:
    text = "".join(path.read_text() for path in DECLARATIONS)
    declared = sorted(re.findall(r"^CREATE INDEX (\w+)", text, re.MULTILINE))
    declare_indexes(loaded)
    query = "SELECT indexname FROM pg_indexes WHERE indexname LIKE 'idx_%' ORDER BY indexname"
    assert column(loaded, query) == declared
    assert len(declared) == 15


@pytest.mark.parametrize("prepare", [False, True])
def test_workload_does_every_operation(loaded: Connection, pg_dsn: str, prepare: bool) -> None:
    ticks: list[workload.Progress] = []
    result = asyncio.run(
        workload.run(pg_dsn, clients=2, seconds=1.0, prepare=prepare, on_tick=ticks.append)
    )
    assert result.errors == {}
    assert set(result.by_operation) == {operation.name for operation in OPERATIONS}
    assert all(latency.calls for latency in result.by_operation.values())
    assert result.operations == sum(o.calls for o in result.by_operation.values())
    assert 0 < result.overall.p50_ms <= result.overall.p95_ms <= result.overall.p99_ms
    assert result.seconds == pytest.approx(1.0, abs=0.5)
    assert [tick.operations for tick in ticks] == sorted(tick.operations for tick in ticks)


def test_workload_until_stopped(loaded: Connection, pg_dsn: str) -> None:
    async def main() -> workload.WorkloadResult:
        stop = asyncio.Event()

        def enough(progress: workload.Progress) -> None:
            if progress.operations:
                stop.set()

        return await workload.run(pg_dsn, clients=1, on_tick=enough, stop=stop)

    assert asyncio.run(main()).operations > 0


def test_workload_names_itself(loaded: Connection, pg_dsn: str) -> None:
    names: list[object] = []
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'ai-skills'"

    def look(_: workload.Progress) -> None:
        names.extend(column(loaded, query))

    asyncio.run(workload.run(pg_dsn, clients=3, seconds=0.3, on_tick=look))
    assert names[0] == 3
    wait_until(lambda: column(loaded, query) == [0], what="the clients to leave")


def test_workload_comes_back_when_its_connections_break(loaded: Connection, pg_dsn: str) -> None:
    done: list[int] = []

    def break_once(progress: workload.Progress) -> None:
        if not done:
            loaded.execute(TERMINATE)
        done.append(progress.operations)

    result = asyncio.run(workload.run(pg_dsn, clients=2, seconds=1.0, on_tick=break_once))
    assert set(result.errors) <= {"57P01", "08001"}
    assert 1 <= sum(result.errors.values()) <= 4
    assert result.operations > done[0]
    assert result.summary()["errors"] == sum(result.errors.values())


def test_workload_counts_errors_by_sqlstate(loaded: Connection, pg_dsn: str) -> None:
    loaded.execute("ALTER TABLE project_submissions RENAME TO elsewhere")
    result = asyncio.run(workload.run(pg_dsn, clients=1, seconds=0.3))
    assert set(result.errors) == {"42P01"}
    assert result.by_operation["submit_project"].calls == 0


def test_workload_without_a_server(pg_backend: Server) -> None:
    with pytest.raises(ConnectError, match="cannot be reached"):
        asyncio.run(workload.run("host=127.0.0.1 port=1 dbname=none", clients=1, seconds=0.1))


@pytest.mark.slow
def test_indexes_make_the_workload_at_least_five_times_faster(pg_dsn: str, own: Connection) -> None:
    dataset.load(own)
    before = asyncio.run(workload.run(pg_dsn, clients=4, seconds=4.0))
    declare_indexes(own)
    after = asyncio.run(workload.run(pg_dsn, clients=4, seconds=2.0))
    assert before.errors == after.errors == {}
    # The median: a busy machine hits the few slowest of both alike.
    assert before.overall.p50_ms / after.overall.p50_ms >= 5.0
