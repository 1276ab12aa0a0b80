"""Leftover: what runs on for too long costs its backend. The rest is in test_relay.py."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from dbopt.gateway.backend import Backend
from dbopt.gateway.leftover import Leftover
from dbopt.gateway.routes import route
from dbopt.settings import Settings
from tests.unit.gateway.pool_stage import TARGET

ROUTE = route(Settings(), "shop", "ann")


class Discards:
    """The pool."""

    def __init__(self) -> None:
        self.discarded: list[tuple[Backend, bool]] = []

    def discard(self, backend: Backend, *, cancel_first: bool = False) -> None:
        self.discarded.append((backend, cancel_first))


@pytest.mark.parametrize(
    ("query_timeout", "after", "given_up"),
    [
        (0.0, 29.0, False),
        (0.0, 30.0, True),
        (2.0, 1.9, False),
        (2.0, 2.0, True),
        (60.0, 31.0, False),
    ],
)
def test_it_gives_up_after_query_timeout_or_half_a_minute(
    query_timeout: float, after: float, given_up: bool
) -> None:
    pool = Discards()
    backend = Backend(TARGET, cast(Any, pool), 10)
    leftover = Leftover(backend, cast(Any, pool), cast(Any, None), lambda: 100.0)
    backend.holder = leftover
    leftover.tick(100.0 + after, replace(ROUTE, query_timeout=query_timeout))
    assert ([(backend, True)] if given_up else []) == pool.discarded
    assert given_up == (backend.holder is None)
