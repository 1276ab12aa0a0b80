"""`dbopt stats`, run as a command against real servers: snapshots go in, reports come out."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
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
from tests.fix_pg import Server as Backend
from tests.fix_pg import fresh_database
from tests.integration.store_support import create_store
from tests.support import wait_until

QUERY = "SELECT note FROM item WHERE id = 42"
HOSTILE = '</script><b>"x'
SCHEMA = f"""
CREATE TABLE item (id int PRIMARY KEY, tag int, note text);
INSERT INTO item SELECT g, g % 10, 'note ' || g FROM generate_series(1, 2000) g;
CREATE TABLE "{HOSTILE.replace('"', '""')}" (id int);
ANALYZE item;
"""


def wait_for_counts(dsn: str, counter: str, value: int) -> None:
    """Sessions hand their counts in when they end, and a little later than that."""

    def reached() -> bool:
        with psycopg.connect(dsn, autocommit=True) as conn:
            row = conn.execute(
                f"SELECT {counter} FROM pg_stat_user_tables WHERE relname = 'item'"
            ).fetchone()
        return row is not None and row[0] >= value

    wait_until(reached, what=f"{counter} of item to be {value}")


def invoke(dsn: str, *arguments: str, store: str = "") -> tuple[Result, str]:
    """The result, whose output is stdout's, and what the console was given."""
    shown = io.StringIO()
    settings = Settings(server=Server(dsn=dsn), store=Store(dsn=store))
    context = Context(settings, Console(file=shown, width=80))
    return CliRunner().invoke(stats, arguments, obj=context), shown.getvalue()


def printed(dsn: str, *arguments: str, store: str = "") -> str:
    result, shown = invoke(dsn, *arguments, store=store)
    if result.exception:
        raise result.exception
    assert result.exit_code == 0
    return result.output + shown


def as_json(dsn: str, *arguments: str, store: str = "") -> Any:
    return json.loads(printed(dsn, *arguments, "--json", store=store))


def observed(dsn: str, store: str = "") -> str:
    """Two snapshots around ten point queries and one inserted row."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(SCHEMA)
    wait_for_counts(dsn, "n_tup_ins", 2000)
    create_store(store or dsn)
    assert "It is the first" in printed(dsn, "snapshot", store=store)
    with psycopg.connect(dsn, autocommit=True) as conn:
        for _ in range(10):
            conn.execute(QUERY)
        conn.execute("INSERT INTO item VALUES (7777, 1, 'a | pipe, [red]markup[/red]')")
        conn.execute(f'INSERT INTO "{HOSTILE.replace(chr(34), chr(34) * 2)}" VALUES (1)')
    wait_for_counts(dsn, "n_tup_ins", 2001)
    assert "It is the first" not in printed(dsn, "snapshot", store=store)
    return dsn


@pytest.fixture(scope="module")
def loaded(pg_backend: Backend) -> Iterator[str]:
    with fresh_database(pg_backend) as dsn:
        yield observed(dsn)


def records(report: Any, section: str) -> Any:
    return report["sections"][section]["rows"]


def test_report_as_json(loaded: str) -> None:
    report = as_json(loaded, "report")
    lines = {line["statement"]: line for line in records(report, "statements_by_calls")}
    digits = fingerprint_hex(fingerprint(QUERY))
    assert (10, 1.0) == (lines[digits]["calls"], lines[digits]["rows_per_call"])
    assert report["statements"][digits] == "SELECT note FROM item WHERE id = $1"
    (table,) = [t for t in records(report, "table_writes") if t["table"] == "public.item"]
    assert (1, 0, 0) == (table["n_tup_ins"], table["n_tup_upd"], table["n_tup_del"])
    index = {line["index"]: line for line in records(report, "index_scans")}
    assert 10 == index["public.item_pkey"]["idx_scan"]
    names = [line["database"] for line in records(report, "databases")]
    assert conninfo_to_dict(loaded)["dbname"] in names
    assert 1 == report["format"]


def test_what_stood_still_is_known_too(loaded: str) -> None:
    sizes = records(as_json(loaded, "report"), "table_sizes")
    (size,) = [line for line in sizes if line["table"] == "public.item"]
    assert size["table_bytes"] > 8192


def test_report_for_a_terminal_of_80_columns(loaded: str) -> None:
    shown = printed(loaded, "report")
    for part in ("Statements by total time", "SELECT note FROM item", "public.item"):
        assert part in shown
    # Two figures and a name that is not shortened may need more; a table never does.
    assert [] == [line for line in shown.splitlines() if len(line.rstrip()) > 80]


def test_report_as_markdown(loaded: str) -> None:
    shown = printed(loaded, "report", "--markdown")
    assert shown.startswith("# ")
    assert "| public.item |" in shown
    assert "SELECT note FROM item WHERE id = $1 |" in shown


def test_report_as_html(loaded: str, tmp_path: Path) -> None:
    file = tmp_path / "made" / "report.html"
    printed(loaded, "report", "--html", str(file))
    text = file.read_text()
    assert "SELECT note FROM item WHERE id = $1" in text
    assert 1 == text.count("</script>")
    assert "&lt;/script&gt;&lt;b&gt;&quot;x" in text
    assert [file] == list(file.parent.iterdir())


def test_report_of_one_database(loaded: str) -> None:
    name = conninfo_to_dict(loaded)["dbname"]
    assert name == as_json(loaded, "report", "--database", str(name))["database"]
    with pytest.raises(UsageError, match=f"There is history of {name}"):
        printed(loaded, "report", "--database", "nobody")
    with pytest.raises(UsageError, match="no history of server elsewhere:1"):
        printed(loaded, "report", "--server", "elsewhere:1")


def test_a_time_without_history_says_what_there_is(loaded: str) -> None:
    with pytest.raises(UsageError) as refused:
        printed(loaded, "report", "--from", "2020-01-01", "--to", "2020-01-02")
    assert "between 2020-01-01 00:00 and 2020-01-02 00:00" in refused.value.message
    assert refused.value.hint.startswith("There is from 2")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--from", "1h", "--to", "2h"), "ends before that"),
        (("--from", "soon"), "'soon' is no time"),
        (("--from", "99999d"), "longer than 400 days"),
    ],
)
def test_times_that_cannot_be(loaded: str, arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        printed(loaded, "report", *arguments)


def test_one_format_at_a_time(loaded: str) -> None:
    result, _ = invoke(loaded, "report", "--json", "--markdown")
    assert 2 == result.exit_code
    assert "Choose one" in result.output


def test_what_a_role_without_privileges_does_not_see(pg_dsn: str) -> None:
    with psycopg.connect(create_store(pg_dsn), autocommit=True) as conn:
        role = f"report_{conn.info.dbname}"
        conn.execute(f"CREATE ROLE {role} LOGIN")
    try:
        plain = make_conninfo(pg_dsn, user=role)
        taken = as_json(plain, "snapshot", store=pg_dsn)
        assert taken["not_examined"]
        unseen = as_json(plain, "report", store=pg_dsn)["not_examined"]
        expected = {(one["message"], one["remedy"]) for one in taken["not_examined"]}
        assert expected <= {(one["what"], one["remedy"]) for one in unseen}
    finally:
        with psycopg.connect(pg_dsn, autocommit=True) as conn:
            conn.execute(f"DROP ROLE {role}")


def test_list(loaded: str) -> None:
    listed = as_json(loaded, "list")
    assert listed["bytes"] > 0
    names = [target["database"] for target in listed["targets"]]
    assert ["", conninfo_to_dict(loaded)["dbname"]] == names
    assert all(target["frames"] > 0 for target in listed["targets"])
    shown = printed(loaded, "list")
    assert "(the server)" in shown
    assert "in the store, in all." in shown


def test_a_snapshot_beside_a_sidecar_says_who_collects(loaded: str) -> None:
    with psycopg.connect(loaded, autocommit=True) as sidecar:
        sidecar.execute("SELECT pg_advisory_lock(1684172656, 1)")
        with pytest.raises(UsageError) as refused:
            printed(loaded, "snapshot")
        assert f"backend {sidecar.info.backend_pid}," in refused.value.message


def test_without_the_schema(pg_dsn: str) -> None:
    for command in ("report", "list", "snapshot"):
        with pytest.raises(StoreMissing) as refused:
            printed(pg_dsn, command)
        assert "dbopt migrate upgrade" in refused.value.hint


def test_without_history(pg_dsn: str) -> None:
    create_store(pg_dsn)
    assert "There is no history yet" in printed(pg_dsn, "list")
    with pytest.raises(UsageError, match="There is no history yet"):
        printed(pg_dsn, "report")


def test_without_a_server(loaded: str) -> None:
    with pytest.raises(ConnectError):
        printed(make_conninfo(loaded, port=1), "report")


def test_a_store_of_its_own_and_an_older_server(pg15_dsn: str, pg_dsn: str) -> None:
    observed(pg15_dsn, store=pg_dsn)
    report = as_json(pg15_dsn, "report", store=pg_dsn)
    (table,) = [t for t in records(report, "table_writes") if t["table"] == "public.item"]
    assert 1 == table["n_tup_ins"]
