"""Random databases and declared indexes: `index apply` makes what the server itself would have.

A failure says how to run its world again.
"""

from __future__ import annotations

import os
import random
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from tests.fix_pg import Server, fresh_database
from tests.fuzz import mutate
from tests.fuzz.index_texts import TYPES
from tests.fuzz.index_trial import Trial
from tests.fuzz.index_worlds import World

PATH = "tests/fuzz/test_fuzz_indexes.py"
FEW = [4, 13, 14]
"""Of seed 0: all actions but attach and drop, and partitions."""
MANY = int(os.environ.get("FUZZ_WORLDS", "100"))


@contextmanager
def prepared(server: Server) -> Iterator[Server]:
    """The server with a template that has what the texts need."""
    with fresh_database(server) as dsn:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("SET allow_in_place_tablespaces = on")
            connection.execute("CREATE TABLESPACE spc LOCATION ''")
            connection.execute(TYPES)
            template = connection.info.dbname
        yield replace(server, template=template)
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute("DROP TABLESPACE spc")


@pytest.fixture(scope="module")
def server(pg_backend: Server) -> Iterator[Server]:
    with prepared(pg_backend) as made:
        yield made


@pytest.fixture(scope="module")
def server15(pg15_backend: Server) -> Iterator[Server]:
    with prepared(pg15_backend) as made:
        yield made


def judged(server: Server, seed: str, directory: Path) -> list[str]:
    """What is wrong with one world."""
    world = World(random.Random(seed))  # noqa: S311 - no secret
    with (
        fresh_database(server) as dsn,
        fresh_database(server) as bare,
        psycopg.connect(dsn, autocommit=True) as own,
        psycopg.connect(bare, autocommit=True) as oracle,
    ):
        faults = Trial(world, own, oracle, dsn, directory).run()
    if faults:
        declared = [one.text for one in world.declared]
        print(f"-- world {seed}", *world.schema, *world.existing, *declared, sep=";\n")
        print(*faults, sep="\n")
    return faults


def check(request: pytest.FixtureRequest, server: Server, seed: str, numbers: list[int]) -> None:
    directory = request.getfixturevalue("tmp_path")
    failed = [number for number in numbers if judged(server, f"{seed}:{number}", directory)]
    again = f"FUZZ_SEED={seed} FUZZ_CASE={','.join(map(str, failed))}"
    assert [] == failed, f"{again} .venv/bin/python -m pytest '{PATH}::{request.node.name}'"


@pytest.mark.pg(">= 15")
def test_random_databases(request: pytest.FixtureRequest, server: Server) -> None:
    check(request, server, mutate.SEED, mutate.numbers(0) or FEW)


@pytest.mark.fuzz
@pytest.mark.timeout(3600)
@pytest.mark.pg(">= 15")
def test_many_random_databases(request: pytest.FixtureRequest, server: Server) -> None:
    check(request, server, _fresh(), mutate.numbers(MANY))


@pytest.mark.fuzz
@pytest.mark.timeout(3600)
def test_many_random_databases_on_15(request: pytest.FixtureRequest, server15: Server) -> None:
    check(request, server15, _fresh(), mutate.numbers(MANY))


def _fresh() -> str:
    """Other worlds each time, unless a seed is given."""
    return os.environ.get("FUZZ_SEED") or secrets.token_hex(4)
