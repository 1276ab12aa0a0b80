"""Leftover: what runs on for too long costs its backend. The rest is in test_relay.py."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from dbopt.gateway.backend import Backend
from dbopt.gateway.counts import Counts
from dbopt.gateway.ledger import Ledger
from dbopt.gateway.leftover import Leftover
from dbopt.gateway.request import PROBE, QUERY, Request
from dbopt.gateway.routes import route
from dbopt.gateway.statements import Registry
from dbopt.gateway.upstream import Upstream
from dbopt.settings import Settings
from dbopt.wire import encode
from dbopt.wire import messages as m
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
    ledger = Ledger(Counts(1e9, False, 100, 10).scope("shop", "ann", "web"))
    leftover = Leftover(backend, cast(Any, pool), Upstream(ledger, Registry(10)), lambda: 100.0)
    backend.holder = leftover
    leftover.tick(100.0 + after, replace(ROUTE, query_timeout=query_timeout))
    assert ([(backend, True)] if given_up else []) == pool.discarded
    assert given_up == (backend.holder is None)


class Cancels:
    """The pool; each cancel is over at once."""

    def __init__(self) -> None:
        self.cancelled = 0

    def cancel(self, backend: Backend) -> None:
        self.cancelled += 1


@pytest.mark.parametrize(("cancelled", "expected"), [(True, 3), (False, 0)])
def test_a_cancel_that_came_too_early_is_sent_again(cancelled: bool, expected: int) -> None:
    pool: Any = Cancels()
    backend = Backend(TARGET, pool, 10)
    ledger = Ledger(Counts(1e9, False, 100, 10).scope("shop", "ann", "web"))
    upstream = Upstream(ledger, Registry(10))
    leftover = Leftover(backend, pool, upstream, lambda: 100.0, cancelled=cancelled)
    for quarter in range(14):
        leftover.tick(100.0 + quarter / 4, ROUTE)
    assert expected == pool.cancelled
    backend.cancels = 1  # one is under way still
    leftover.tick(110.0, ROUTE)
    assert expected == pool.cancelled


class Probed:
    """What a client left: a probe in flight, or a RESET."""

    def __init__(self, request: Request) -> None:
        self.released: list[Backend] = []
        self.backend = Backend(TARGET, cast(Any, self), 10)
        self.backend.parameters = {"TimeZone": "UTC"}
        self.backend.settings = {"TimeZone": "UTC", "my.secret": "1"}
        ledger = Ledger(Counts(1e9, False, 100, 10).scope("shop", "ann", "web"))
        ledger.requests.append(request)
        ledger.ends = 1
        upstream = Upstream(ledger, Registry(10))
        self.backend.holder = Leftover(self.backend, cast(Any, self), upstream, lambda: 0.0)

    def release(self, backend: Backend, now: float) -> None:
        self.released.append(backend)


ROW = m.DataRow((b"set", b"search_path", b"secret")).encode()


@pytest.mark.parametrize(
    ("kind", "answer", "settings"),
    [
        (PROBE, ROW + encode.command_complete(b"SELECT 1"), {"TimeZone": "UTC", "my.secret": "1"}),
        (QUERY, encode.command_complete(b"RESET"), {"TimeZone": "UTC"}),
        (QUERY, encode.parameter_status("TimeZone", "CET"), {"TimeZone": "CET", "my.secret": "1"}),
    ],
)
def test_the_next_client_is_told_nothing_of_it(
    kind: int, answer: bytes, settings: dict[str, str]
) -> None:
    left = Probed(Request(kind))
    left.backend.data_received(answer + encode.ready_for_query(b"I"))
    assert [left.backend] == left.released
    told = left.backend.downstream
    assert (None, [], False) == (told.probed, told.settings, told.reset)
    assert settings == left.backend.settings
