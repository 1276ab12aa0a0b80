"""Pitfalls of prepared statements that are shared among clients and moved among backends."""

from __future__ import annotations

import pytest

from tests.integration.gateway_support import (
    SYNC,
    Raw,
    bind,
    close,
    describe,
    execute,
    parse,
    query,
    run,
    shape,
    sqlstates,
)
from tests.integration.pitfalls.conftest import MakePlace
from tests.integration.pitfalls.place import Place, value
from tests.integration.pitfalls.tap import Link


def use(raw: Raw, name: str = "a", *values: str) -> str | None:
    """What a prepared statement gives."""
    return value(raw.ask(bind(*values, name=name) + execute() + SYNC))


def test_pitfall_statements_are_keyed_on_text_and_parameter_types(single: Place) -> None:
    """One text with other parameter types is another statement."""
    with single.clients(3) as clients:
        for raw, oid in zip(clients, (23, 25, 1700), strict=True):
            raw.ask(parse("SELECT pg_typeof($1)", "a", (oid,)) + SYNC)
        for _ in range(2):
            found = [use(raw, "a", "7") for raw in clients]
            assert ["integer", "text", "numeric"] == found
        for raw, oid in zip(clients, (23, 25, 1700), strict=True):
            (described, *_) = raw.ask(describe("S", "a") + SYNC)
            assert (b"t", b"\0\1" + oid.to_bytes(4)) == described


def test_pitfall_parse_is_replayed_before_bind_and_before_describe(single: Place) -> None:
    """supavisor#1174: Describe needs the statement on the new backend as Bind does."""
    with single.client() as raw:
        raw.ask(parse("SELECT $1::int", "a") + SYNC)
        single.renew()
        assert "tTZ" == shape(raw.ask(describe("S", "a") + SYNC))
        single.renew()
        assert "7" == use(raw, "a", "7")
        raw.ask(parse("SELECT 'unnamed'") + SYNC)
        single.renew()
        assert "tTZ" == shape(raw.ask(describe("S") + SYNC))
        single.renew()
        assert "unnamed" == use(raw, "")


def test_pitfall_closing_a_portal_is_not_closing_the_statement(single: Place) -> None:
    """pgdog#1338: also where both have one name."""
    with single.client() as raw:
        raw.ask(parse("SELECT 5", "a") + SYNC)
        raw.ask(bind(name="a", portal="a") + execute("a") + close("P", "a") + SYNC)
        assert "5" == use(raw)
        single.renew()
        assert "3Z" == shape(raw.ask(close("P", "a") + SYNC))
        assert "5" == use(raw)


def closes(link: Link) -> list[int]:
    """At which messages a statement was closed that is there."""
    made = {payload.partition(b"\0")[0] for kind, payload in link.messages if kind == b"P"}
    return [
        number
        for number, (kind, payload) in enumerate(link.messages)
        if kind == b"C" and payload[:1] == b"S" and payload[1:-1] in made - {b""}
    ]


def test_pitfall_eviction_closes_between_leases_and_never_within_a_pipeline(
    make_place: MakePlace,
) -> None:
    """What a pipeline has prepared it may use to its end, however small the cache."""
    place = make_place(pool__max_size=1, gateway__prepared_statements=3)
    left = "SELECT count(*) FROM pg_prepared_statements"
    with place.clients(2) as (raw, other):
        for turn in range(4):
            names = [f"s{turn}.{n}" for n in range(9)]
            made = b"".join(parse(f"SELECT '{name}'", name) for name in names)
            used = b"".join(bind(name=name) + execute() for name in names)
            assert "1" * 9 + "2DC" * 18 + "Z" == shape(raw.ask(made + used + used + SYNC))
            found = value(other.ask(run(left) + SYNC))
            assert found is not None
            assert int(found) <= 3 + 9, "the cache, and what the last pipeline has added"
    (link,) = place.tap.backends
    kinds = [kind for kind, _ in link.messages]
    assert closes(link), "nothing was evicted"
    for number in closes(link):
        assert kinds[number - 1] in (b"S", b"Q", b"C"), kinds[number - 3 : number + 3]


def test_pitfall_failed_parse_is_not_cached(single: Place) -> None:
    """Neither as the client's name nor as what the backend has."""
    text = "SELECT x FROM made_later"
    with single.clients(2) as (first, second):
        for raw in (first, second):
            assert ["42P01"] == sqlstates(raw.ask(parse(text, "a") + SYNC))
            assert ["26000"] == sqlstates(raw.ask(bind(name="a") + SYNC))
        single.sql("CREATE TABLE made_later AS SELECT 3 AS x")
        for raw in (second, first):
            assert "1Z" == shape(raw.ask(parse(text, "a") + SYNC))
            assert "3" == use(raw)


@pytest.mark.parametrize("text", ["SELECT 1", "SELECT 2"])
def test_pitfall_duplicate_name_is_an_error(single: Place, text: str) -> None:
    """As on the server, whether the text is the same or not; on a new backend too."""
    with single.client() as raw:
        raw.ask(parse("SELECT 1", "a") + SYNC)
        assert ["42P05"] == sqlstates(raw.ask(parse(text, "a") + SYNC))
        single.renew()
        assert ["42P05"] == sqlstates(raw.ask(parse(text, "a") + SYNC))
        assert "1" == use(raw)


def test_pitfall_close_of_an_unknown_name_succeeds(single: Place) -> None:
    """And closes nobody else's."""
    with single.clients(2) as (first, second):
        first.ask(parse("SELECT 'mine'", "a") + SYNC)
        assert "333Z" == shape(
            second.ask(close("S", "a") + close("S", "dbopt_1") + close("S") + SYNC)
        )
        assert "mine" == use(first)


@pytest.mark.parametrize("text", ["DEALLOCATE ALL", "DISCARD ALL", "DEALLOCATE a"])
@pytest.mark.parametrize("extended", [False, True])
def test_pitfall_deallocate_and_discard_reset_both_maps(
    single: Place, text: str, extended: bool
) -> None:
    """pgbouncer#974, #991, #1041: the client's names are gone, and other clients' are not."""
    with single.clients(2) as (raw, other):
        for client in (raw, other):
            client.ask(parse("SELECT 'shared'", "a") + SYNC)
        found = raw.ask(run(text) + SYNC if extended else query(text))
        assert [] == sqlstates(found)
        assert ["26000"] == sqlstates(raw.ask(bind(name="a") + SYNC))
        assert "shared" == use(other)
        assert "1Z" == shape(raw.ask(parse("SELECT 'anew'", "a") + SYNC))
        assert ("anew", "shared") == (use(raw), use(other))


def test_pitfall_statement_is_prepared_anew_when_its_result_has_changed(single: Place) -> None:
    """pgbouncer#1038: "cached plan must not change result type" ends with a new Parse."""
    text = "SELECT * FROM changing"
    single.sql("CREATE TABLE changing AS SELECT 1 AS x")
    with single.clients(3) as (first, second, third):
        first.ask(parse(text, "a") + SYNC)
        assert "1" == use(first)
        single.sql("ALTER TABLE changing ALTER x TYPE text USING 'one'")
        found = second.ask(parse(text, "b") + describe("S", "b") + SYNC)
        assert ("1tTZ", []) == (shape(found), sqlstates(found))
        assert "one" == use(second, "b")
        failed = first.ask(bind(name="a") + execute() + SYNC)
        assert sqlstates(failed) in ([], ["0A000"])  # its own Parse was before the change
        first.ask(close("S", "a") + parse(text, "a") + SYNC)
        assert "one" == use(first)
        single.sql("ALTER TABLE changing ADD y int")
        found = third.ask(run(text, name="c") + SYNC)
        assert ("12TDCZ", []) == (shape(found), sqlstates(found))


def test_pitfall_client_that_gets_a_changed_result_error_can_go_on(single: Place) -> None:
    """pgbouncer#1038: as with PostgreSQL, and as drivers do it, once it is prepared anew.

    Not before: who still goes by the old description would read the rows amiss.
    """
    single.sql("CREATE TABLE widened AS SELECT 1 AS x")
    with single.client() as raw:
        raw.ask(parse("SELECT * FROM widened", "a") + SYNC)
        assert "1" == use(raw)
        single.sql("ALTER TABLE widened ADD y int")
        for _ in range(2):
            assert ["0A000"] == sqlstates(raw.ask(bind(name="a") + execute() + SYNC))
        found = raw.ask(run("SELECT * FROM widened", name="b") + SYNC)
        assert ("12TDCZ", []) == (shape(found), sqlstates(found))


def test_pitfall_parse_bind_and_names_larger_than_any_buffer(single: Place) -> None:
    """They are kept whole, sent anew to another backend, and come in any pieces."""
    name, text, data = "n" * 100_000, f"SELECT $1::text || '{'t' * 2_000_000}'", "d" * 3_000_000
    with single.client() as raw:
        raw.send_bytewise(parse(text, name) + SYNC, 70_001)
        assert "1Z" == shape(raw.until(b"Z"))
        for _ in range(2):
            raw.send_bytewise(bind(data, name=name) + execute() + SYNC, 99_991)
            found = value(raw.until(b"Z"))
            assert found is not None
            assert (5_000_000, "dt") == (len(found), found[2_999_999:3_000_001])
            single.renew()
