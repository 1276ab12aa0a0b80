"""Request: how the kinds are ordered, since what ends a batch and what is hidden is told by it."""

from __future__ import annotations

from dbopt.gateway import request as kinds
from dbopt.gateway.request import COPY_END_REQUEST, SYNC_REQUEST, Request


def test_what_ends_a_batch_is_from_query_up() -> None:
    ends = {kinds.QUERY, kinds.FUNCTION, kinds.SYNC, kinds.SETTINGS, kinds.ENSURE, kinds.PROBE}
    every = {value for name, value in vars(kinds).items() if name.isupper() and value in range(99)}
    assert ends == {kind for kind in every if kind >= kinds.QUERY}
    assert {kinds.SETTINGS, kinds.ENSURE, kinds.PROBE} == {k for k in every if k >= kinds.SETTINGS}


def test_what_is_shared_carries_nothing() -> None:
    for shared in (SYNC_REQUEST, COPY_END_REQUEST):
        new = Request(shared.kind)
        assert [getattr(new, name) for name in Request.__slots__] == [
            getattr(shared, name) for name in Request.__slots__
        ]
