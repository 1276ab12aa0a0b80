"""Indexes in every form that people write are known again on PostgreSQL 18 and 15: what is not is
built anew by each deploy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dbopt.migrate.declared import read, wanted
from dbopt.migrate.plan import Action, make_plan
from dbopt.pg import catalog
from dbopt.pg.connect import Connection, connect
from dbopt.sql.indexdef import parse_index
from tests.fix_pg import fresh_database

HERE = Path(__file__).parent


def _declarations(version: int) -> list[str]:
    found: list[str] = []
    for line in (HERE / "data_index_forms.sql").read_text().splitlines():
        since, _, rest = line.partition(" ")
        if since == "--" or (since.isdigit() and version < int(since)):
            continue
        text = rest if since.isdigit() else line
        unique = "UNIQUE " if text.startswith("unique ") else ""
        name = f"form_{len(found)}"
        found.append(f"CREATE {unique}INDEX {name} ON {text.removeprefix('unique ')}")
    return found


@pytest.fixture(params=["pg_backend", "pg15_backend"])
def connection(request: pytest.FixtureRequest) -> Iterator[Connection]:
    with (
        fresh_database(request.getfixturevalue(request.param)) as dsn,
        connect(dsn) as made,
    ):
        made.execute((HERE / "data_index_forms_tables.sql").read_text())
        yield made


def test_every_form_is_known_again(connection: Connection, tmp_path: Path) -> None:
    declarations = _declarations(connection.info.server_version // 10000)
    (tmp_path / "forms.sql").write_text(";\n".join(declarations))

    names = ", ".join(parse_index(text).name for text in declarations)
    asked = [one.definition for one in wanted(connection, read(tmp_path))]
    dumped: list[str] = []
    for texts in (
        [one.create_sql(concurrently=False) for one in asked],  # as an apply builds it
        declarations,  # as somebody else does
        dumped,  # as a dump brings back what somebody else has built
    ):
        connection.execute(f"DROP INDEX IF EXISTS {names}")
        connection.execute("; ".join(texts))
        here = catalog.read(connection)
        plan = make_plan(wanted(connection, read(tmp_path)), here)

        assert [] == [step for step in plan if step.action is not Action.PRESENT]
        assert len(declarations) == len(plan) == len(here.indexes)
        dumped[:] = [index.sql for index in here.indexes]
    # What a plan shows, and `index declare` writes, is the index.
    for index in here.indexes:
        assert parse_index(index.definition.create_sql()).says(index.definition)
