"""`dbopt index plan` as somebody sees it who has a database with some disorder in it."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from dbopt.cli.context import Context
from dbopt.cli.index import index
from dbopt.errors import MigrationRefused
from dbopt.migrate import run, runner
from dbopt.migrate.run import Options
from dbopt.pg.connect import Connection, connect
from dbopt.settings import Index, Server, Settings, Store

PSQL = shutil.which("psql")
NOWHERE = "host=127.0.0.1 port=1 connect_timeout=2 dbname=nobody"
DECLARED = """\
CREATE UNIQUE INDEX sold_sku ON sold (sku);
CREATE INDEX sold_at ON sold (at);
CREATE INDEX visits_at ON visits (at);
"""


@pytest.fixture
def connection(pg_dsn: str) -> Iterator[Connection]:
    with connect(pg_dsn) as made:
        made.execute("CREATE TABLE sold (sku text, at date); INSERT INTO sold VALUES ('a'), ('a')")
        made.execute("CREATE INDEX sold_when ON sold (at)")
        made.execute("CREATE TABLE visits (at int) PARTITION BY RANGE (at)")
        made.execute("CREATE TABLE visits_1 PARTITION OF visits FOR VALUES FROM (1) TO (9)")
        yield made


@pytest.fixture
def settings(pg_dsn: str, tmp_path: Path) -> Settings:
    (tmp_path / "shop.sql").write_text(DECLARED)
    return Settings(server=Server(dsn=pg_dsn), index=Index(directory=str(tmp_path)))


def _plan(settings: Settings, *words: str) -> tuple[Result, str]:
    shown = io.StringIO()
    console = Console(file=shown, width=80, force_terminal=False)
    result = CliRunner().invoke(index, ["plan", *words], obj=Context(settings, console))
    return result, shown.getvalue()


def _document(settings: Settings) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_plan(settings, "--json")[0].stdout)
    return found


@pytest.mark.skipif(PSQL is None, reason="there is no psql")
def test_psql_runs_what_is_printed_but_what_a_finding_forbids(
    settings: Settings, connection: Connection, pg_dsn: str
) -> None:
    script = _plan(settings, "--sql")[0].stdout
    assert "-- Not run: a critical finding forbids it, see above." in script
    done = subprocess.run(
        [str(PSQL), "-X", "-q", pg_dsn], input=script, capture_output=True, text=True, check=False
    )

    assert (0, "") == (done.returncode, done.stderr)
    steps = {step["name"]: step["action"] for step in _document(settings)["steps"]}
    assert {"sold_sku": "create", "sold_at": "present", "visits_at": "present"} == steps


def test_locks_that_make_nobody_wait_are_not_repeated(
    settings: Settings, connection: Connection
) -> None:
    result, shown = _plan(settings)
    script = _plan(settings, "--sql")[0].stdout

    assert result.exit_code == 1
    assert ["SHARE UPDATE EXCLUSIVE"] * 2 == [
        "SHARE UPDATE EXCLUSIVE" for text in (shown, script) if text.count("UPDATE EXCLUSIVE") == 1
    ]
    assert "ACCESS EXCLUSIVE on each partition's index" in shown
    assert "ACCESS EXCLUSIVE on each partition's index" in script


def test_in_the_wrong_directory_no_plan_and_no_script_drops_everything(
    settings: Settings, connection: Connection, tmp_path: Path
) -> None:
    runner.upgrade(settings, indexes=False)
    run.apply(settings, Options(only=("visits_at",)))
    (tmp_path / "empty").mkdir()
    elsewhere = replace(settings, index=Index(directory=str(tmp_path / "empty")))

    result, _ = _plan(elsewhere, "--sql")

    assert isinstance(result.exception, MigrationRefused)
    assert "No index is declared here, and 1 that dbopt manages would be dropped." == (
        result.exception.message
    )
    assert "DROP INDEX" in _plan(elsewhere, "--prune", "--sql")[0].stdout


def test_a_store_that_is_away_is_said_to_hide_what_would_be_dropped(
    settings: Settings, connection: Connection
) -> None:
    """An empty register is an answer, a store that says nothing is none."""

    def hidden(of: Settings) -> list[tuple[str, bool]]:
        findings = _document(of)["findings"]
        found = (one for one in findings if one["rule"] == "managed-indexes")
        return [(one["message"].split(", so")[0], one["examined"]) for one in found]

    assert [] == hidden(settings)
    away = replace(settings, store=Store(dsn=NOWHERE))
    assert [("Which indexes dbopt manages is not known", False)] == hidden(away)
    assert "not examined managed-indexes" in _plan(away)[1]


def test_the_help_names_what_the_json_has(settings: Settings, connection: Connection) -> None:
    text = CliRunner().invoke(index, ["plan", "--help"]).output
    document = _document(settings)
    names = {*document, *document["steps"][0], *document["steps"][0]["estimate"]}

    assert [] == [name for name in sorted(names) if f'"{name}"' not in text]


def test_what_is_left_alone_is_of_the_tables_that_were_asked_for(
    settings: Settings, connection: Connection
) -> None:
    connection.execute("CREATE INDEX spare ON sold (at, sku); CREATE INDEX more ON visits (at, at)")
    alone = [json.loads(_plan(settings, "--json", *words)[0].stdout)["left_alone"] for words in (
        (), ("--only", "sold"), ("--only", "visits_at")
    )]  # fmt: skip

    assert [["public.more", "public.spare"], ["public.spare"], ["public.more"]] == [
        sorted(names) for names in alone
    ]
