"""`dbopt stats`, run as a command against the real server."""

from __future__ import annotations

import io
import json
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from rich.console import Console

from dbopt.cli.context import Context
from dbopt.cli.stats import stats
from dbopt.errors import ConnectError, StoreMissing, UsageError
from dbopt.settings import Server, Settings, Store
from dbopt.sql.fingerprint import fingerprint, fingerprint_hex
from dbopt.store import slow as slow_store
from tests.fix_pg import Server as Backend
from tests.fix_pg import fresh_database
from tests.integration.store_support import create_store, on_connection
from tests.integration.test_stats_snapshot import SCHEMA, wait_for_counts
from tests.unit.trace.observations import slow

QUERY = "SELECT note FROM item WHERE id = 42"


@pytest.fixture
def dsn(pg_dsn: str) -> str:
    with psycopg.connect(pg_dsn, autocommit=True) as conn:
        conn.execute(SCHEMA)
    wait_for_counts(pg_dsn, "n_tup_ins", 2000)
    return create_store(pg_dsn)


def invoke(dsn: str, *arguments: str) -> tuple[Result, str]:
    """The result, whose output is stdout's, and what the console was given."""
    shown = io.StringIO()
    context = Context(Settings(server=Server(dsn=dsn)), Console(file=shown, width=160))
    return CliRunner().invoke(stats, arguments, obj=context), shown.getvalue()


def printed(dsn: str, *arguments: str) -> str:
    result, shown = invoke(dsn, *arguments)
    if result.exception:
        raise result.exception
    assert result.exit_code == 0
    return result.output + shown


def as_json(dsn: str, *arguments: str) -> Any:
    return json.loads(printed(dsn, *arguments, "--json"))


@pytest.fixture
def loaded(dsn: str) -> str:
    """Two snapshots around ten point queries and one inserted row."""
    printed(dsn, "snapshot")
    with psycopg.connect(dsn, autocommit=True) as conn:
        for _ in range(10):
            conn.execute(QUERY)
        conn.execute("INSERT INTO item VALUES (7777, 1, 'a | pipe, [red]markup[/red]')")
    wait_for_counts(dsn, "n_tup_ins", 2001)
    printed(dsn, "snapshot")
    return dsn


def test_report_as_json(loaded: str) -> None:
    report = as_json(loaded, "report")
    lines = {line["fingerprint"]: line for line in report["statements"]}
    line = lines[fingerprint_hex(fingerprint(QUERY))]
    assert (line["calls"], line["rows"], line["nested"]) == (10, 10, False)
    assert line["text"] == "SELECT note FROM item WHERE id = $1"
    assert 0 < line["share"] <= 1
    (table,) = report["tables"]
    assert (table["name"], table["idx_scans"], table["inserted"]) == ("item", 10, 1)
    assert report["indexes"][0]["name"] == "item_pkey"
    assert report["indexes"][0]["scans"] == 10
    assert report["database"]["tps"] > 0
    assert report["findings"] == []


def test_report_for_a_terminal(loaded: str) -> None:
    shown = printed(loaded, "report")
    for part in ("Statements by total time", "SELECT note FROM item", "public.item", "item_pkey"):
        assert part in shown


def test_report_as_markdown(loaded: str) -> None:
    shown = printed(loaded, "report", "--markdown")
    assert shown.startswith("# ")
    assert "| public.item |" in shown
    assert "SELECT note FROM item WHERE id = $1 |" in shown


def test_report_on_a_time(loaded: str) -> None:
    printed(loaded, "snapshot")
    assert as_json(loaded, "report")["tables"] == []
    (table,) = as_json(loaded, "report", "--from", "2020-01-01")["tables"]
    assert table["inserted"] == 1
    with pytest.raises(UsageError, match="no two"):
        printed(loaded, "report", "--to", "2020-01-01T10:00")


def test_list(loaded: str) -> None:
    newest, oldest = as_json(loaded, "list")
    assert newest["id"] > oldest["id"]
    assert newest["taken_at"] > oldest["taken_at"]
    assert str(newest["id"]) in printed(loaded, "list")
    assert len(as_json(loaded, "list", "--limit", "1")) == 1


def test_snapshot_tells_what_it_could_not_see(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("DROP EXTENSION pg_stat_statements")
    assert "CREATE EXTENSION pg_stat_statements;" in printed(dsn, "snapshot")
    (finding,) = as_json(dsn, "snapshot")["findings"]
    assert (finding["examined"], finding["severity"]) == (False, "warning")


def test_a_missing_store_is_said(pg_dsn: str) -> None:
    for command in ("snapshot", "report", "list"):
        result, _ = invoke(pg_dsn, command)
        assert isinstance(result.exception, StoreMissing)
        assert result.exception.exit_code == 2


def test_an_unreachable_server_is_said() -> None:
    result, _ = invoke("host=127.0.0.1 port=1 dbname=x user=x", "snapshot")
    assert isinstance(result.exception, ConnectError)
    assert result.exception.exit_code == 3


def test_json_and_markdown_exclude_each_other(dsn: str) -> None:
    result, _ = invoke(dsn, "report", "--json", "--markdown")
    assert result.exit_code == 2


@pytest.mark.parametrize("command", ["report", "snapshot", "list"])
def test_every_command_has_examples(command: str) -> None:
    result = CliRunner().invoke(stats, [command, "--help"])
    assert f"dbopt stats {command}" in result.output.partition("Examples:\n")[2]


def test_a_database_of_another_encoding_takes_any_statement(pg_backend: Backend) -> None:
    """Its encoding lacks the sign of a cut text, and what a client's wrong bytes become."""
    with psycopg.connect(pg_backend.dsn, autocommit=True) as made:
        made.execute("DROP DATABASE IF EXISTS dbopt_latin")
        made.execute("CREATE DATABASE dbopt_latin TEMPLATE template0 ENCODING LATIN1 LOCALE 'C'")
        dsn = create_store(make_conninfo(pg_backend.dsn, dbname="dbopt_latin"))
        try:
            with psycopg.connect(dsn, autocommit=True) as app:
                app.execute("CREATE EXTENSION pg_stat_statements")
                app.execute('CREATE TABLE "caf\xe9" (id int)')
                app.execute("SELECT " + "||".join(["lower('x')"] * 2000))
            assert 0 == invoke(dsn, "snapshot")[0].exit_code
            statement = slow(text="SELECT \N{REPLACEMENT CHARACTER}", application="\N{ELEPHANT}")
            assert 1 == on_connection(dsn, lambda c: slow_store.append(c, [(statement, None)]))
        finally:
            made.execute("DROP DATABASE dbopt_latin WITH (FORCE)")


def test_a_shared_store_reports_on_the_database_that_is_asked_for(
    dsn: str, pg_backend: Backend
) -> None:
    with fresh_database(pg_backend) as other:
        mine, theirs = (
            Context(
                Settings(server=Server(dsn=served), store=Store(dsn=dsn)),
                Console(file=io.StringIO(), width=160),
            )
            for served in (dsn, other)
        )
        for context in (mine, mine, theirs, theirs):
            assert 0 == CliRunner().invoke(stats, ["snapshot"], obj=context).exit_code
        result = CliRunner().invoke(stats, ["report", "--json"], obj=mine)

    assert conninfo_to_dict(dsn)["dbname"] == json.loads(result.stdout)["period"]["database"]
