from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from dbopt.store.block import pack
from dbopt.store.decoding import Decoder

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LAYOUTS = {1: ("tables", ("a", "b", "c"), ("g",), False)}


def row(minute: int, link: int, chain: int = 9, **parts: Any) -> dict[str, Any]:
    at = AT + timedelta(minutes=minute)
    blank = {"changed": None, "base": None, "gone": None}
    return {"at": at, "layout_id": 1, "chain": chain, "link": link, **blank, **parts}


def test_columns_that_say_nothing_are_not_listed() -> None:
    changed = pack([[5, 2], [0, 0], [None, None], [1, None], [7, -1]])
    found, base, gone = Decoder(LAYOUTS).row(row(0, 0, changed=changed, gone=pack([[3, 4]])))
    assert found is not None
    assert ([5, 7], {2: [1, None]}, frozenset({0})) == (found.ids, found.counters, found.zeros)
    assert [(0, None, 1, 7), (0, None, None, -1)] == list(found.values(3))
    assert (None, [3, 7]) == (base, gone)


def test_gauges_are_whole_again() -> None:
    decoder = Decoder(LAYOUTS)
    for minute, (value, whole) in enumerate([(7, 7), (-2, 5), (None, None), (1, 6)]):
        changed = pack([[5], [0], [0], [0], [value]])
        found, _, _ = decoder.row(row(minute, minute, changed=changed))
        assert found is not None
        assert [[whole]] == found.gauges
    base = pack([[5], [0], [0], [0], [100]])
    _, found, _ = decoder.row(row(4, 4, base=base))
    assert found is not None
    assert [[100]] == found.gauges
    found, _, _ = decoder.row(row(5, 5, changed=pack([[5], [0], [0], [0], [1]])))
    assert found is not None
    assert [[101]] == found.gauges


def test_without_its_beginning_a_chain_says_nothing_of_gauges() -> None:
    changed = pack([[5], [3], [0], [0], [1]])
    found, _, _ = Decoder(LAYOUTS).row(row(1, 1, changed=changed))
    assert found is not None
    assert [(3, 0, 0, None)] == list(found.values(3))


def test_chains_that_are_over_are_forgotten() -> None:
    decoder = Decoder(LAYOUTS)
    for hour in range(5):
        decoder.row(row(60 * hour, 0, chain=hour))
    assert 1 == len(decoder._chains)
