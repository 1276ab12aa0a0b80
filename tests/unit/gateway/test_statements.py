from __future__ import annotations

from dbopt.gateway.statements import NOWHERE, Prepared, Registry
from dbopt.wire import encode


def test_one_name_for_one_text_and_types() -> None:
    registry = Registry(10)
    one = registry.statement(b"SELECT 1", b"\0\0")
    assert one is registry.statement(b"SELECT 1", b"\0\0")
    other = registry.statement(b"SELECT 1", b"\0\1\0\0\0\x17")
    assert one.name != other.name
    assert NOWHERE not in (one.name, other.name)
    assert encode.parse(one.name, b"SELECT 1") == one.message


def test_a_forgotten_text_gets_a_new_name() -> None:
    registry = Registry(2)
    first = registry.statement(b"a", b"").name
    registry.statement(b"b", b"")
    registry.statement(b"a", b"")
    registry.statement(b"c", b"")  # b is the least recent
    assert first == registry.statement(b"a", b"").name
    names = {registry.statement(text, b"").name for text in (b"b", b"d", b"e")}
    assert 3 == len(names)
    assert first not in names


def test_the_least_recently_used_are_evicted() -> None:
    prepared = Prepared(2)
    for name in (b"a", b"b", b"c", b"d"):
        prepared.add(name)
    assert prepared.use(b"a")
    assert not prepared.use(b"x")
    assert [b"b", b"c"] == prepared.overflow()
    assert [] == prepared.overflow()
    assert (b"a" in prepared, b"b" in prepared, len(prepared)) == (True, False, 2)
    prepared.discard(b"a")
    prepared.discard(b"a")
    prepared.clear()
    assert 0 == len(prepared)
