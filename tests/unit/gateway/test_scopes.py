"""Scopes: which statement a text is, and which route it is counted by."""

from __future__ import annotations

import pytest

from dbopt.gateway import counts as counts_module
from dbopt.gateway import scopes
from dbopt.gateway.comments import OTHER
from dbopt.gateway.counts import Counts
from dbopt.gateway.scopes import Scope
from dbopt.sql.fingerprint import fingerprint


def counting(capacity: int = 1000) -> Counts:
    return Counts(1e9, False, capacity, 10)


def scope_of(counts: Counts) -> Scope:
    return counts.scope("shop", "ann", "web")


def traced(base: str, number: int, route: str = "/cart") -> bytes:
    trace = f"00-{number:032x}-{number:016x}-01"
    return f"{base} /*action='show',route='{route}',traceparent='{trace}'*/".encode()


@pytest.mark.parametrize("base", ["select a from t", "select a from t where b = 7 limit 8"])
def test_of_traced_texts_one_is_learned(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scope = scope_of(counting())
    first = scope.count(traced(base, 1))
    monkeypatch.setattr(scopes, "fingerprint", None)  # it would fail if it were asked
    for number in range(2, 50):
        assert first is scope.count(traced(base, number))
        assert first is scope.count(traced(base, number) + b";")
    assert ("/cart", fingerprint(base)) == (first.scope.route, first.fingerprint)
    assert 0 == len(scope.by_text)


def test_routes_are_told_apart_and_have_one_text_each() -> None:
    counts = counting()
    scope = scope_of(counts)
    for text in (b"select 1", b"select 2 /*route='a'*/", b"select 3 /*route='b'*/", b"select 1"):
        scope.count(text).add(1.0, 1, 10, 20)
    taken = {count.route: count for count in counts.take().counts}
    assert {"": 2, "a": 1, "b": 1} == {route: count.calls for route, count in taken.items()}
    assert {fingerprint("select 1")} == {count.fingerprint for count in taken.values()}
    assert {"select $1"} == {count.text for count in taken.values()}
    assert (20, 40) == (taken[""].received, taken[""].sent)
    assert {"shop ann web"} == {f"{c.database} {c.user} {c.application}" for c in taken.values()}


def test_a_comment_without_a_route_is_counted_with_those_without_a_comment() -> None:
    scope = scope_of(counting())
    assert scope.count(b"select a /* hello */") is scope.count(b"select a")


def test_a_constant_comment_is_a_key() -> None:
    scope = scope_of(counting())
    text = b"select a /*route='a'*/"
    counts = [scope.count(text) for _ in range(3)]
    assert [counts[0]] * 3 == counts
    assert {text: counts[0]} == scope.by_text


def test_a_text_that_goes_on_in_its_comment_is_a_key_as_a_whole() -> None:
    scope = scope_of(counting())
    texts = [b"select 'x /*route='a'*/", b"select '\\' /*route='a'*/", b"select 1 -- /*route='a'*/"]
    for text in texts:
        count = scope.count(text)
        assert ("a", fingerprint(text.decode())) == (count.scope.route, count.fingerprint)
    assert set(texts) == set(scope.by_text)


def test_long_texts_have_a_route_too() -> None:
    scope = scope_of(counting())
    text = b"select " + b"a, " * 2000 + b"a /*route='a'*/"
    assert ("a", fingerprint(text.decode())) == (
        scope.count(text).scope.route, scope.count(text).fingerprint,
    )  # fmt: skip
    assert {} == scope.by_text


def test_routes_are_bounded_and_those_not_seen_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts_module, "_MAX_ROUTES", 3)
    counts = counting()
    scope, second = scope_of(counts), counts.scope("shop", "ann", "batch")

    def routes(names: str, where: Scope) -> list[str]:
        found = [where.count(f"select 1 /*route='{name}'*/".encode()) for name in names]
        for count in found:
            count.add(1.0, 0)
        return [count.scope.route for count in found]

    assert ["a", "b"] == routes("ab", scope)
    assert ["a", OTHER, OTHER] == routes("abc", second)
    assert 5 == sum(count.calls for count in counts.take().counts)
    assert ["a"] == routes("a", scope)
    counts.take()
    assert ["c", "d", OTHER] == routes("cde", second)
    assert ["a"] == routes("a", scope)
    assert 4 == sum(count.calls for count in counts.take().counts)


def test_spellings_of_routes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scopes, "_MAX_SPELLINGS", 2)
    scope = scope_of(counting())
    spelled = ["a", "%61", "%61%00", "a"]
    found = [scope.count(f"select 1 /*route='{s}'*/".encode()).scope.route for s in spelled]
    assert ["a", "a", "a\0", "a"] == found
    assert 2 == len(scope._routes)


def test_a_full_worker_forgets_statements_of_routes_too() -> None:
    counts = counting(capacity=2)
    scope = scope_of(counts)
    for name in "ab":
        scope.count(f"select {name} /*route='r'*/".encode()).add(1.0, 0)
    assert OTHER == scope.count(b"select c").text
    counts.take()
    counts.take()
    assert "select c" == scope.count(b"select c").text


def test_all_keys_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts_module, "_MAX_KEPT", 50)
    counts = counting()
    scope, second = scope_of(counts), counts.scope("shop", "ann", "batch")
    kept = scope.count(b"select aaaaaaaaaaaa")
    second.count(b"select bbbbbbbbbbbb /*route='b'*/")
    second.count(b"select cccccccccccc")
    assert ([], 1) == (list(scope.by_text), len(second.by_text))
    assert kept is scope.count(b"select aaaaaaaaaaaa")


@pytest.mark.parametrize(
    ("text", "special"),
    [(b"begin; select 1; commit", True), (b"commit and chain", True), (b"begin", False)],
)
def test_what_hides_a_transaction_goes_the_general_way(text: bytes, special: bool) -> None:
    assert special == scope_of(counting()).count(text).special
