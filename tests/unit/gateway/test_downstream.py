"""Downstream: what a client is told of what the server says, and what is settled by it."""

from __future__ import annotations

import pytest

from dbopt.errors import ProtocolError
from dbopt.gateway import request as kinds
from dbopt.gateway.counts import Counts
from dbopt.gateway.downstream import Downstream
from dbopt.gateway.ledger import Ledger
from dbopt.gateway.replies import parameter_status
from dbopt.gateway.request import SYNC_REQUEST, Request
from dbopt.gateway.statements import Prepared, Registry
from dbopt.gateway.upstream import Upstream
from dbopt.wire import encode
from dbopt.wire import messages as m

READY, IN_BLOCK = encode.ready_for_query(b"I"), encode.ready_for_query(b"T")
PARSED, CLOSED = m.ParseComplete().encode(), m.CloseComplete().encode()
ROW = m.DataRow((b"x" * 20,)).encode()
ERROR = encode.error_fields("ERROR", "22012", "division by zero")
FATAL = encode.error_fields("FATAL", "57P01", "terminating connection")
NOTICE = encode.notice("all is well")


def tag(text: bytes) -> bytes:
    return m.CommandComplete(text).encode()


class Side:
    """A backend that was asked for `owed`."""

    def __init__(self, *owed: int) -> None:
        self.ledger = Ledger(Counts(1e9, False, 100, 10).scope("shop", "ann", "web"))
        self.upstream = Upstream(self.ledger, Registry(100))
        self.prepared = Prepared(100)
        self.downstream = Downstream()
        for kind in owed:
            request = SYNC_REQUEST if kind == kinds.SYNC else Request(kind, b"SELECT 1", 1.0)
            self.ledger.requests.append(request)
            self.ledger.ends += kind >= kinds.QUERY

    def told(self, data: bytes, size: int = 1 << 20) -> bytes:
        out: list[bytes] = []
        for start in range(0, len(data), size):
            part = data[start : start + size]
            self.downstream.receive(part, self.upstream, self.prepared, 2.0, out)
        return b"".join(out)

    @property
    def rows(self) -> int:
        return sum(count.rows for count in self.ledger.scope.by_fingerprint.values())


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_rows_pass_however_they_are_split(size: int) -> None:
    side = Side(kinds.QUERY)
    data = NOTICE + ROW * 3 + tag(b"SELECT 3") + READY
    assert data == side.told(data, size)
    assert (True, 3, 1) == (side.ledger.at_rest, side.rows, side.ledger.transactions)
    assert side.downstream.at_boundary


@pytest.mark.parametrize("size", [1, 5, 1000])
@pytest.mark.parametrize(
    ("kind", "reply", "told"),
    [
        (kinds.PARSE, PARSED, PARSED),
        (kinds.PARSE_HIDDEN, PARSED, b""),
        (kinds.CLOSE, CLOSED, CLOSED),
        (kinds.CLOSE_HIDDEN, CLOSED, b""),
    ],
)
def test_replies_to_what_the_gateway_sent_are_hidden(
    kind: int, reply: bytes, told: bytes, size: int
) -> None:
    side = Side(kind, kinds.SYNC)
    assert ROW + told + READY == side.told(ROW + reply + READY, size)
    assert side.ledger.at_rest


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        (b"SELECT 5", 5), (b"INSERT 0 7", 7), (b"UPDATE 0", 0), (b"COPY 9", 9), (b"BEGIN", 0),
        (b"CREATE TABLE", 0), (b"MERGE 2", 2),
    ],
)  # fmt: skip
def test_rows_are_counted(text: bytes, rows: int) -> None:
    side = Side(kinds.EXECUTE, kinds.SYNC)
    side.told(tag(text) + READY)
    assert rows == side.rows


@pytest.mark.parametrize(
    ("text", "forgets", "reset"),
    [
        (b"DISCARD ALL", True, True), (b"DEALLOCATE ALL", True, False), (b"RESET", False, True),
        (b"DEALLOCATE", False, False),
    ],
)  # fmt: skip
def test_what_makes_the_server_forget(text: bytes, forgets: bool, reset: bool) -> None:
    side = Side(kinds.QUERY)
    side.prepared.add(b"dbopt_1")
    side.told(tag(text) + READY)
    assert (not forgets, reset) == (b"dbopt_1" in side.prepared, side.downstream.reset)


def test_an_error_settles_what_the_server_skips() -> None:
    side = Side(kinds.PARSE, kinds.EXECUTE, kinds.SYNC, kinds.QUERY)
    assert ERROR == side.told(ERROR)
    assert 2 == len(side.ledger.requests)
    side.told(IN_BLOCK)
    assert (ord("T"), 0) == (side.ledger.status, side.ledger.transactions)


def test_the_end_of_the_connection_is_kept_for_when_it_has_ended() -> None:
    side = Side(kinds.QUERY)
    assert ROW == side.told(ROW + FATAL)
    assert ("57P01", "terminating connection") == (
        side.downstream.fatal,
        side.downstream.fatal_message,
    )
    assert 1 == len(side.ledger.requests)


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_the_gateways_own_query_is_hidden(size: int) -> None:
    side = Side(kinds.SETTINGS, kinds.QUERY)
    own = ROW + tag(b"SELECT 1") + encode.parameter_status("TimeZone", "UTC") + READY
    mine = ROW + tag(b"SELECT 1") + READY
    assert mine == side.told(own + mine, size)
    assert [("TimeZone", "UTC")] == side.downstream.settings
    assert side.ledger.at_rest


def test_the_gateways_own_query_that_fails() -> None:
    side = Side(kinds.SETTINGS, kinds.QUERY)
    assert b"" == side.told(ERROR + READY)
    assert side.downstream.refused is not None
    assert "22012" == side.downstream.refused.sqlstate


def test_a_client_within_a_row_is_at_no_boundary() -> None:
    side = Side(kinds.QUERY)
    side.told(ROW[:8])
    assert not side.downstream.at_boundary
    side.told(ROW[8:])
    assert side.downstream.at_boundary


def test_what_comes_while_nobody_has_the_backend() -> None:
    downstream = Downstream()
    data = encode.parameter_status("TimeZone", "UTC") + READY
    found = [message for byte in data for message in downstream.idle(bytes([byte]))]
    assert [m.ParameterStatus("TimeZone", "UTC"), m.ReadyForQuery(ord("I"))] == found


NEVER = [b"D\0\0\0\3", b"D\xff\xff\xff\xff", b"Z\0\0\0\4", b"S\0\0\0\6ab"]


@pytest.mark.parametrize(
    "data", [READY, tag(b"SELECT 1"), PARSED, CLOSED, b"\0\0\0\0\4", b"W\0\0\0\7\0\0\0", *NEVER]
)
def test_a_server_that_says_what_it_must_not(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        Side().told(data)


@pytest.mark.parametrize("data", NEVER)
def test_a_server_that_answers_garbage_to_the_gateways_own_query(data: bytes) -> None:
    side = Side(kinds.SETTINGS)
    with pytest.raises(ProtocolError):
        side.told(data)


@pytest.mark.parametrize("payload", [b"", b"a\0", b"a\0b\0c\0"])
def test_a_parameter_status_that_cannot_be_read(payload: bytes) -> None:
    with pytest.raises(ProtocolError):
        parameter_status(payload)
