"""Upstream: what the server is sent of what a client sends, and what is entered as owed."""

from __future__ import annotations

import pytest

from dbopt.errors import ProtocolError
from dbopt.gateway import request as kinds
from dbopt.gateway.counts import Counts
from dbopt.gateway.ledger import Ledger
from dbopt.gateway.statements import Prepared, Registry
from dbopt.gateway.upstream import Upstream
from dbopt.wire import encode
from dbopt.wire import messages as m

SYNC, FLUSH = encode.sync(), encode.flush()
NOWHERE = encode.close_statement(b"dbopt_none")
NAMES = {value: name for name, value in vars(kinds).items() if isinstance(value, int)}


def parse(sql: bytes, name: bytes = b"") -> bytes:
    return m.Parse(name, sql).encode()


def bind(name: bytes = b"", portal: bytes = b"") -> bytes:
    return m.Bind(portal, name).encode()


def close(name: bytes) -> bytes:
    return m.Close(ord("S"), name).encode()


def describe(name: bytes) -> bytes:
    return m.Describe(ord("S"), name).encode()


EXECUTE = m.Execute(b"", 0).encode()
COPY_DATA, COPY_DONE = m.CopyData(b"1234567890").encode(), m.CopyDone().encode()


class Side:
    """A client, and the one backend that it has."""

    def __init__(self, capacity: int = 100) -> None:
        self.ledger = Ledger(Counts(1e9, False, 100, 10).scope("shop", "ann", "web"))
        self.registry = Registry(100)
        self.upstream = Upstream(self.ledger, self.registry)
        self.prepared = Prepared(capacity)

    def send(self, data: bytes) -> bytes:
        out: list[bytes] = []
        self.taken = self.upstream.forward(data, self.prepared, 1.0, out)
        return b"".join(out)

    @property
    def owed(self) -> list[str]:
        return [NAMES[request.kind] for request in self.ledger.requests]


@pytest.mark.parametrize(
    ("data", "owed", "ends", "open_batch"),
    [
        (encode.query(b"SELECT 1"), ["QUERY"], 1, False),
        (encode.query(b"a") + encode.query(b"b"), ["QUERY", "QUERY"], 2, False),
        (SYNC, ["SYNC"], 1, False),
        (FLUSH, [], 0, False),
        (parse(b"a") + bind() + EXECUTE, ["PARSE", "EXECUTE"], 0, True),
        (parse(b"a") + bind() + EXECUTE + SYNC, ["PARSE", "EXECUTE", "SYNC"], 1, False),
        (m.FunctionCall(1, (), (), 0).encode(), ["FUNCTION"], 1, False),
    ],
)
def test_what_passes_as_it_is(data: bytes, owed: list[str], ends: int, open_batch: bool) -> None:
    side = Side()
    assert data == side.send(data)
    assert len(data) == side.taken
    assert (owed, ends) == (side.owed, side.ledger.ends)
    assert open_batch is side.ledger.open_batch


def test_a_name_is_the_gateways_own_and_closed_before_it_is_parsed_again() -> None:
    side = Side()
    first = side.send(parse(b"a", b"mine") + bind(b"mine") + describe(b"mine"))
    made = parse(b"a", b"dbopt_1") + describe(b"dbopt_1")
    assert made + bind(b"dbopt_1") + describe(b"dbopt_1") == first
    side.upstream.names.clear()  # as another client's
    again = encode.close_statement(b"dbopt_1") + made + bind(b"dbopt_1")
    assert again == side.send(parse(b"a", b"yours") + bind(b"yours"))
    assert ["PARSE", "CHECK", "CLOSE_HIDDEN", "PARSE", "CHECK"] == side.owed


def test_a_backend_that_lacks_it_is_told_first() -> None:
    side = Side()
    side.send(parse(b"a", b"mine"))
    side.prepared.clear()
    assert parse(b"a", b"dbopt_1") + bind(b"dbopt_1") == side.send(bind(b"mine"))
    assert ["PARSE", "CHECK", "PARSE_HIDDEN"] == side.owed


def test_what_the_client_was_told_of_is_described_first_where_it_is_made_anew() -> None:
    side = Side()
    side.send(parse(b"a", b"mine"))
    statement = side.upstream.names[b"mine"]
    side.ledger.clear()
    side.prepared.clear()
    statement.shape = b"one column"
    asked = parse(b"a", b"dbopt_1") + describe(b"dbopt_1") + FLUSH
    assert asked == side.send(bind(b"mine") + EXECUTE)
    assert (0, ["PARSE_HIDDEN", "CHECK"]) == (side.taken, side.owed)
    assert b"" == side.send(bind(b"mine") + EXECUTE)  # nor twice
    check = side.ledger.requests[1]
    side.ledger.requests.clear()
    side.ledger.touched.clear()
    side.upstream.held = ()
    side.upstream.described(check, b"two columns", side.prepared)
    refused = side.send(bind(b"mine") + EXECUTE + SYNC)
    failing = encode.parse(b"dbopt_none", b"dbopt refuses")  # it leaves the unnamed one alone
    assert refused.startswith(failing + b"B")
    assert b"RevalidateCachedQuery" in side.ledger.requests[0].refusal
    assert statement is not side.registry.statement(b"a", b"\0\0")


def test_who_prepares_it_anew_gets_the_new_one_and_others_keep_theirs() -> None:
    side = Side()
    side.send(parse(b"a", b"mine") + SYNC)
    old = side.upstream.names[b"mine"]
    side.upstream.described(side.ledger.requests[1], b"one", side.prepared)
    side.upstream.described(side.ledger.requests[1], b"two", side.prepared)
    new = side.upstream.names[b"mine"]
    assert (b"one", b"two") == (old.shape, new.shape)
    assert old.name in side.prepared.stale


def test_the_unnamed_statement_of_another_client_is_not_used() -> None:
    side = Side()
    side.send(parse(b"a"))
    side.prepared.unnamed = side.registry.statement(b"other", b"\0\0")
    assert parse(b"a") + bind() == side.send(bind())
    side = Side()
    assert encode.close_statement(b"") + bind() == side.send(bind())
    assert ["CLOSE_HIDDEN"] == side.owed


def test_close_keeps_what_others_may_use() -> None:
    side = Side()
    side.send(parse(b"a", b"mine"))
    assert NOWHERE == side.send(close(b"mine"))
    assert {} == side.upstream.names
    assert b"dbopt_1" in side.prepared
    assert NOWHERE == side.send(close(b"never"))


@pytest.mark.parametrize(
    ("name", "server_name"), [(b"never", b"never"), (b"dbopt_1", b"dbopt_none")]
)
def test_nobody_reaches_anothers_statement_by_its_name(name: bytes, server_name: bytes) -> None:
    side = Side()
    side.send(parse(b"a", b"mine"))
    assert bind(server_name) + describe(server_name) == side.send(bind(name) + describe(name))


def test_a_name_that_is_parsed_twice_is_refused_by_the_server() -> None:
    side = Side()
    side.send(parse(b"a", b"mine"))
    assert parse(b"b", b"dbopt_1") == side.send(parse(b"b", b"mine"))


def test_what_is_undone_after_an_error() -> None:
    side = Side()
    side.send(parse(b"bad", b"mine") + close(b"other") + parse(b"a"))
    skipped = side.ledger.fail("42601", 1.0)
    side.upstream.undo(skipped, side.prepared)
    assert {} == side.upstream.names
    assert b"dbopt_1" not in side.prepared
    assert None is side.prepared.unnamed


def test_a_close_that_was_skipped_keeps_the_name() -> None:
    side = Side()
    side.send(parse(b"a", b"mine"))
    (made,) = side.upstream.names.values()
    side.ledger.requests.clear()
    side.send(close(b"mine"))
    skipped = list(side.ledger.requests)
    side.ledger.requests.clear()
    side.upstream.undo(skipped, side.prepared)
    assert {b"mine": made} == side.upstream.names


def test_a_query_in_an_open_batch_is_fenced() -> None:
    side = Side()
    query = encode.query(b"SELECT 1")
    assert bind(b"x") + NOWHERE + query == side.send(bind(b"x") + query)
    assert ["CLOSE_HIDDEN", "QUERY"] == side.owed


def test_what_the_server_skips_is_not_entered() -> None:
    side = Side()
    side.ledger.skipping = side.ledger.open_batch = True
    data = parse(b"a") + parse(b"a", b"mine") + bind(b"mine") + EXECUTE + encode.query(b"x")
    side.send(data + close(b"mine"))
    assert [] == side.owed
    assert {} == side.upstream.names
    side.send(SYNC)
    assert ["SYNC"] == side.owed
    assert not side.ledger.skipping


@pytest.mark.parametrize("size", range(1, len(COPY_DATA)))
def test_copy_data_passes_in_parts(size: int) -> None:
    side = Side()
    whole = COPY_DATA + COPY_DONE
    sent = side.send(whole[:size])
    rest = whole[side.taken :]
    assert whole == sent + side.send(rest)
    assert 0 == side.upstream.pass_bytes


def test_a_sync_within_a_copy_is_not_owed() -> None:
    side = Side()
    side.ledger.copying = True
    assert COPY_DATA + SYNC == side.send(COPY_DATA + SYNC)
    assert 0 == side.ledger.ends


def test_an_incomplete_message_is_left() -> None:
    side = Side()
    query = encode.query(b"SELECT 1")
    assert SYNC == side.send(SYNC + query[:-1])
    assert len(SYNC) == side.taken


def test_terminate_ends_it() -> None:
    side = Side()
    assert SYNC == side.send(SYNC + encode.terminate() + SYNC)
    assert side.upstream.closing


def test_a_new_lease_closes_what_is_too_much() -> None:
    side = Side(capacity=1)
    side.send(parse(b"a", b"x") + parse(b"b", b"y"))
    side.ledger.requests.clear()
    assert [encode.close_statement(b"dbopt_1")] == side.upstream.begin(side.prepared)
    assert ["CLOSE_HIDDEN"] == side.owed


@pytest.mark.parametrize(
    "data",
    [
        b"z\0\0\0\4", b"Q\0\0\0\3", b"Q\xff\xff\xff\xff", b"P\0\0\0\x06ab", b"B\0\0\0\x06a\0",
        b"E\0\0\0\x05a", b"C\0\0\0\x06Sa", b"D\0\0\0\x06Sa",
    ],
)  # fmt: skip
def test_garbage(data: bytes) -> None:
    side = Side()
    with pytest.raises(ProtocolError):
        side.send(data)
