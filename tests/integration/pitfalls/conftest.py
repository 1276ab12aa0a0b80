"""Fixtures of the pitfalls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.fix_gateway import Runner
from tests.fix_pg import Server, fresh_database
from tests.integration.pitfalls.place import Place, place

MakePlace = Callable[..., Place]


@pytest.fixture(scope="module")
def single(pg_backend: Server, gateway_loop: Runner) -> Iterator[Place]:
    """A gateway with one backend, for all tests of a module."""
    with (
        fresh_database(pg_backend) as dsn,
        place(dsn, gateway_loop, pool__max_size=1) as found,
    ):
        yield found


@pytest.fixture
def make_place(pg_dsn: str, gateway_loop: Runner) -> Iterator[MakePlace]:
    """Makes one with settings of its own, in front of a new database."""
    with ExitStack() as stack:

        def make(**overrides: Any) -> Place:
            return stack.enter_context(place(pg_dsn, gateway_loop, **overrides))

        yield make
