"""Hidden: replies to what the gateway itself has sent are swallowed, and what matters is kept."""

from __future__ import annotations

import pytest

from dbopt.errors import ProtocolError
from dbopt.gateway import request as kinds
from dbopt.gateway.request import Request
from dbopt.wire import encode
from dbopt.wire import messages as m
from dbopt.wire.types import IDLE
from tests.unit.gateway.test_downstream import ERROR, FATAL, NOTICE, PARSED, READY, Side, tag

COLUMNS = m.RowDescription(()).encode()
NO_COLUMNS = m.NoData().encode()
PARAMETERS = m.ParameterDescription((23,)).encode()
SETTING = encode.parameter_status("TimeZone", "UTC")
NOTIFIED = m.NotificationResponse(1, b"c", b"p").encode()
IN_BLOCK = encode.ready_for_query(b"T")
SIZES = [1, 2, 5, 1000]


@pytest.mark.parametrize("size", SIZES)
def test_all_up_to_its_ready_for_query_is_hidden(size: int) -> None:
    side = Side(kinds.SETTINGS, kinds.QUERY)
    hidden = NOTICE + COLUMNS + SETTING + tag(b"SELECT 1") + READY
    mine = COLUMNS + tag(b"SELECT 0") + READY
    assert mine == side.told(hidden + mine, size)
    assert ([("TimeZone", "UTC")], 0) == (side.downstream.settings, side.ledger.ends)


@pytest.mark.parametrize("size", SIZES)
def test_the_settings_that_the_server_refuses_are_noted(size: int) -> None:
    side = Side(kinds.SETTINGS)
    assert b"" == side.told(ERROR + READY, size)
    assert side.downstream.refused is not None
    assert "22012" == side.downstream.refused.sqlstate


@pytest.mark.parametrize("size", SIZES)
def test_the_rows_of_a_probe_are_kept(size: int) -> None:
    side = Side(kinds.PROBE)
    rows = m.DataRow((b"setting", b"a")).encode() + m.DataRow((b"temp", None)).encode()
    assert b"" == side.told(COLUMNS + rows + tag(b"SELECT 2") + READY, size)
    assert [(b"setting", b"a"), (b"temp", None)] == side.downstream.probed


def test_a_probe_that_fails_tells_that_nothing_is_known() -> None:
    side = Side(kinds.PROBE)
    assert b"" == side.told(ERROR + READY)
    assert [(b"unknown", b"", b"")] == side.downstream.probed


def test_rows_of_others_are_no_probes() -> None:
    side = Side(kinds.SETTINGS, kinds.PROBE)
    row = m.DataRow((b"a",)).encode()
    side.told(row + READY + row * 2 + READY)
    assert [(b"a",)] * 2 == side.downstream.probed


def test_a_statement_that_cannot_be_made_is_not_there() -> None:
    side = Side()
    statement = side.upstream.registry.statement(b"a", b"\0\0")
    side.prepared.add(statement.name)
    side.ledger.hide(kinds.ENSURE, statement)
    assert b"" == side.told(ERROR + READY)
    assert not side.prepared.use(statement.name)


def test_the_transactions_status_is_the_servers() -> None:
    side = Side(kinds.ENSURE)
    side.told(PARSED + IN_BLOCK)
    assert (b"T"[0], 0) == (side.ledger.status, side.ledger.ends)
    assert IDLE != side.ledger.status


def test_a_fatal_error_is_noted_with_its_words() -> None:
    side = Side(kinds.SETTINGS)
    assert b"" == side.told(FATAL)
    assert ("57P01", "terminating connection") == (
        side.downstream.fatal, side.downstream.fatal_message,
    )  # fmt: skip


@pytest.mark.parametrize("shared", [True, False])
def test_a_notification_is_the_clients_where_it_listens_itself(shared: bool) -> None:
    side = Side(kinds.SETTINGS)
    side.upstream.shared_listen = shared
    assert (b"" if shared else NOTIFIED) == side.told(NOTIFIED + READY)


@pytest.mark.parametrize("header", [b"D\0\0\0\3", b"Z\0\0\0\0", b"D\xff\xff\xff\xff"])
def test_a_length_that_cannot_be_is_an_error(header: bytes) -> None:
    side = Side(kinds.SETTINGS)
    with pytest.raises(ProtocolError, match="of no length"):
        side.told(header + READY)


# The gateway's own Describe


def checked() -> Side:
    side = Side()
    statement = side.upstream.registry.statement(b"a", b"\0\0")
    side.ledger.await_(Request(kinds.CHECK, b"", 0.0, statement))
    side.ledger.end_batch(Request(kinds.SYNC))
    return side


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("end", [COLUMNS, NO_COLUMNS])
def test_its_replies_are_hidden_and_the_shape_is_kept(size: int, end: bytes) -> None:
    side = checked()
    statement = side.ledger.requests[0].statement
    assert NOTICE + READY == side.told(PARAMETERS + NOTICE + end + READY, size)
    assert statement is not None
    assert statement.shape is not None
    assert statement.shape.startswith(PARAMETERS)
    assert side.ledger.at_rest


def test_its_error_is_the_clients_since_it_ends_the_batch() -> None:
    side = checked()
    assert ERROR + READY == side.told(ERROR + READY)
    assert side.ledger.at_rest


def test_any_other_answer_is_an_error() -> None:
    with pytest.raises(ProtocolError, match="did not answer a Describe"):
        checked().told(tag(b"SELECT 1"))
