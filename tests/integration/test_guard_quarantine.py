"""Quarantine in the real store, and the commands that fill it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from dbopt.errors import StoreMissing
from dbopt.migrate import runner
from dbopt.pg.connect import AsyncConnection
from dbopt.settings import Server, Settings
from dbopt.sql.fingerprint import fingerprint
from dbopt.store import quarantine
from dbopt.store.quarantine import Quarantine
from tests.integration.store_support import on_connection
from tests.unit.cli.calls import Call, caller

BIG = 0xF000_0000_0000_0001  # above 2**63: negative as a bigint
NOW = 1_700_000_000.0


def clock() -> float:
    return NOW


@pytest.fixture
def store(pg_dsn: str) -> str:
    runner.upgrade(Settings(server=Server(dsn=pg_dsn)), indexes=False)
    return pg_dsn


@pytest.fixture
def role(store: str) -> Iterator[str]:
    with psycopg.connect(store) as connection:
        yield connection.info.user


def add(dsn: str, number: int, seconds: float = 60.0, **given: Any) -> Quarantine:
    return on_connection(dsn, lambda c: quarantine.add(c, number, seconds, clock=clock, **given))


def held(dsn: str) -> list[Quarantine]:
    return on_connection(dsn, lambda c: quarantine.held(c, clock=clock))


def execute(dsn: str, text: str) -> list[Any]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(text.encode())
        return cursor.fetchall() if cursor.description else []


# The store


def test_what_is_added_is_held(store: str, role: str) -> None:
    added = add(store, BIG, 60.0, database="app", reason="slow", text="SELECT $1")
    assert Quarantine(BIG, NOW + 60.0, "app", "slow", role, NOW, "SELECT $1") == added
    (found,) = held(store)
    assert (BIG, "app", "slow", role, "SELECT $1") == (
        found.fingerprint, found.database, found.reason, found.by, found.text,
    )  # fmt: skip
    assert NOW + 30 < found.expires <= NOW + 60
    assert NOW - 30 < found.created <= NOW


def test_a_second_time_gives_the_new_end_and_keeps_the_text(store: str) -> None:
    add(store, 1, 60.0, reason="slow", text="SELECT $1")
    add(store, 1, 600.0)
    add(store, 1, 300.0, database="app")
    found = [(one.database, one.reason, one.text) for one in held(store)]
    assert [("", "", "SELECT $1"), ("app", "", "")] == found


def test_it_ends_by_itself_and_is_forgotten_later(store: str) -> None:
    add(store, 1)
    add(store, 2)
    execute(store, "UPDATE dbopt.quarantine SET expires_at = now() WHERE fingerprint = 1")
    assert [2] == [one.fingerprint for one in held(store)]
    execute(
        store,
        "UPDATE dbopt.quarantine SET expires_at = now() - interval '8 days' WHERE fingerprint = 1",
    )
    add(store, 3)
    assert [(2,), (3,)] == execute(
        store, "SELECT fingerprint FROM dbopt.quarantine ORDER BY fingerprint"
    )


def test_release_of_one_and_of_all(store: str) -> None:
    for number, database in ((1, ""), (1, "app"), (2, ""), (3, "")):
        add(store, number, database=database)

    def release(number: int | None) -> list[int]:
        async def work(connection: AsyncConnection) -> list[Quarantine]:
            return await quarantine.release(connection, number)

        return sorted(one.fingerprint for one in on_connection(store, work))

    assert [1, 1] == release(1)
    assert [] == release(1)
    assert [2, 3] == release(None)
    assert [] == held(store)
    add(store, 1)
    assert [1] == [one.fingerprint for one in held(store)], "who was released may come back"


@pytest.mark.parametrize("text", ["a\0b\udcff", "x" * 20_000, "日本語"])
def test_any_text_can_be_held(store: str, text: str) -> None:
    add(store, 1, text=text, reason=text, database=text)
    (found,) = held(store)
    assert "\0" not in found.text + found.reason + found.database
    assert (len(found.text), len(found.reason)) <= (10_000, 500)


def test_without_the_table(pg_dsn: str) -> None:
    runner.upgrade(Settings(server=Server(dsn=pg_dsn)), "0001")
    for work in (lambda: add(pg_dsn, 1), lambda: held(pg_dsn)):
        with pytest.raises(StoreMissing) as caught:
            work()
        assert "Run `dbopt migrate upgrade`." == caught.value.hint


def test_the_revision_comes_and_goes(pg_dsn: str) -> None:
    settings = Settings(server=Server(dsn=pg_dsn))
    tables = "SELECT to_regclass('dbopt.quarantine') IS NOT NULL"
    runner.upgrade(settings, indexes=False)
    assert [(True,)] == execute(pg_dsn, tables)
    runner.downgrade(settings, "0002")
    assert [(False,)] == execute(pg_dsn, tables)
    runner.upgrade(settings, "0003", indexes=False)
    assert [(True,)] == execute(pg_dsn, tables)
    assert "0003" == runner.current(settings)


# The commands


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path_factory: pytest.TempPathFactory,
    store: str,
) -> Call:
    monkeypatch.chdir(tmp_path_factory.mktemp("cli"))
    made = caller(monkeypatch, capsys)
    monkeypatch.setenv("DBOPT_SERVER__DSN", store)
    return made


def test_in_list_out(call: Call, role: str) -> None:
    text = "SELECT * FROM orders WHERE card = 'topsecret'"
    hexed = f"{fingerprint(text):016x}"

    done = call("guard", "quarantine", text, "--for", "90m", "--reason", "[red]slow\x1b[0m")

    assert (0, "") == (done.code, done.err)
    assert f"{hexed} is in quarantine in every database for 90 min." == done.out.splitlines()[0]
    assert done.out.splitlines()[1].startswith('guard.mode is "observe" here, so that it is only')
    shown = call("guard", "list").out
    for words in (hexed, "all", "90 min", role, "[red]slow [0m", "card = $1"):
        assert words in shown
    assert "topsecret" not in shown
    assert f"{hexed} may run again.\n" == call("guard", "release", text).out
    assert "Nothing to release: it is not in quarantine.\n" == call("guard", "release", hexed).out
    assert "Nothing is in quarantine.\n" == call("guard", "list").out


def test_as_json(call: Call, role: str) -> None:
    words = ("guard", "quarantine", "00000000000000FF", "--database", "app", "--json")
    done = json.loads(call("-s", "guard.mode=enforce", *words).out)
    assert ("00000000000000ff", "app", "", role, "", "") == tuple(
        done[name] for name in ("fingerprint", "database", "reason", "by", "query", "warning")
    )
    assert 3600 == round(done["expires"] - done["created"])
    (one,) = json.loads(call("guard", "list", "--json").out)
    assert ("00000000000000ff", "app") == (one["fingerprint"], one["database"])
    (gone,) = json.loads(call("guard", "release", "--all", "--json").out)
    assert "00000000000000ff" == gone["fingerprint"]


@pytest.mark.parametrize(
    ("settings", "database", "warned"),
    [
        (("guard.mode=off",), "app", "not even counted"),
        (("guard.mode=enforce",), "app", ""),
        (("databases.app.guard_mode=enforce",), "app", ""),
        (("databases.app.guard_mode=enforce",), "other", "only counted"),
    ],
)
def test_who_does_not_enforce_is_warned(
    call: Call, settings: tuple[str, ...], database: str, warned: str
) -> None:
    given = [word for setting in settings for word in ("-s", setting)]
    done = call(*given, "guard", "quarantine", "SELECT 1", "--database", database, "--json")
    warning = json.loads(done.out)["warning"]
    assert warned in warning
    assert bool(warned) == bool(warning)


def test_the_commands_without_the_table(call: Call, store: str) -> None:
    runner.downgrade(Settings(server=Server(dsn=store)), "base")
    commands: tuple[Callable[[], Any], ...] = (
        lambda: call("guard", "list"),
        lambda: call("guard", "quarantine", "SELECT 1"),
        lambda: call("guard", "release", "--all"),
    )
    for command in commands:
        done = command()
        assert (2, "") == (done.code, done.out)
        assert "dbopt: The store has no schema dbopt, or an old one. Run `dbopt migrate upgrade`." \
            == done.line  # fmt: skip


def test_check_asks_the_planner(call: Call, store: str) -> None:
    execute(store, "CREATE TABLE t AS SELECT n AS a FROM generate_series(1, 5000) n; ANALYZE t")
    words = ("guard", "check", "SELECT a FROM t WHERE a = 1", "--json")
    refused = call("-s", "guard.max_cost=10", *words)
    (one,) = json.loads(refused.out)["statements"]
    assert (1, "cost", "54001", "") == (refused.code, one["rule"], one["sqlstate"], one["note"])
    assert "the planner's cost is " in one["message"]
    assert 0 == call("-s", "guard.max_cost=1000000", *words).code
