"""The codec and SCRAM against the real thing: a PostgreSQL server, and libpq."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dbopt.demo.cluster import EmbeddedCluster
from dbopt.errors import AuthenticationError
from dbopt.gateway.scram import ScramClient, ScramServer, make_verifier, parse_verifier
from dbopt.wire import encode, types
from dbopt.wire import messages as m
from dbopt.wire.codec import BackendDecoder, Decoder, FrontendDecoder

MOCK_KEY = b"k" * 32
TIMEOUT = 10


class Peer:
    """A socket and a decoder: one message at a time."""

    def __init__(self, sock: socket.socket, decoder: Decoder[Any]) -> None:
        sock.settimeout(TIMEOUT)
        self.socket = sock
        self.decoder = decoder

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read(self) -> Any:
        while (event := self.decoder.next_event()) is None:
            data = self.socket.recv(65536)
            if not data:
                self.decoder.receive_eof()
                return self.decoder.next_event()
            self.decoder.receive_data(data)
        return event

    def read_until(self, last: type[Any]) -> list[Any]:
        events = [self.read()]
        while not isinstance(events[-1], last):
            events.append(self.read())
        return events


@contextmanager
def connected(dsn: str) -> Iterator[Peer]:
    params = {key: str(value) for key, value in conninfo_to_dict(dsn).items()}
    host, port = params["host"], int(params["port"])
    if host.startswith("/"):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(f"{host}/.s.PGSQL.{port}")
    else:
        sock = socket.create_connection((host, port))
    with sock:
        yield Peer(sock, BackendDecoder())


def login(peer: Peer, params: dict[str, str], password: str, protocol: int) -> list[Any]:
    peer.send(encode.startup(params, protocol))
    offer = peer.read()
    if isinstance(offer, m.NegotiateProtocolVersion):
        offer = peer.read()
    assert isinstance(offer, m.AuthenticationSASL)
    client = ScramClient(password, offered=offer.mechanisms)
    peer.send(encode.sasl_initial_response(client.mechanism, client.first()))
    peer.send(encode.sasl_response(client.final(peer.read().data)))
    final = peer.read()
    if isinstance(final, m.ErrorResponse):
        raise AuthenticationError(final.sqlstate)
    client.verify(final.data)
    assert m.AuthenticationOk() == peer.read()
    return peer.read_until(m.ReadyForQuery)


@pytest.mark.parametrize("protocol", [types.PROTOCOL_3_0, types.PROTOCOL_3_2])
def test_log_in_to_a_server_and_ask(scram_server: EmbeddedCluster, protocol: int) -> None:
    params = conninfo_to_dict(scram_server.dsn())
    names = {"user": str(params["user"]), "database": str(params["dbname"])}
    with connected(scram_server.dsn()) as peer:
        greeting = login(peer, names, str(params["password"]), protocol)
        (key,) = [event for event in greeting if isinstance(event, m.BackendKeyData)]
        assert len(key.secret) == 4 or protocol == types.PROTOCOL_3_2
        peer.send(encode.query(b"SELECT 1, NULL"))
        rows = peer.read_until(m.ReadyForQuery)[1:]
        expected = [m.DataRow((b"1", None)), m.CommandComplete(b"SELECT 1")]
        assert [*expected, m.ReadyForQuery(types.IDLE)] == rows
        peer.send(encode.terminate())
        assert peer.read() is None


def test_a_wrong_password_at_a_server(scram_server: EmbeddedCluster) -> None:
    user = str(conninfo_to_dict(scram_server.dsn())["user"])
    with (
        connected(scram_server.dsn()) as peer,
        pytest.raises(AuthenticationError, match="28P01"),
    ):
        login(peer, {"user": user, "database": "postgres"}, "wrong", types.PROTOCOL_3_0)


@pytest.mark.parametrize("password", ["secret", "\u00aa\u2168é", "\u0627a"])
def test_our_verifier_is_the_servers(scram_server: EmbeddedCluster, password: str) -> None:
    with psycopg.connect(scram_server.dsn()) as connection:
        quoted = psycopg.sql.Literal(password)
        connection.execute(psycopg.sql.SQL("CREATE ROLE wire_test PASSWORD {}").format(quoted))
        stored = connection.execute(
            "SELECT rolpassword FROM pg_authid WHERE rolname = 'wire_test'"
        ).fetchone()
        connection.rollback()
    assert stored is not None
    theirs = parse_verifier(stored[0])
    assert stored[0] == str(theirs)
    assert theirs == make_verifier(password, theirs.iterations, theirs.salt)


def serve(listener: socket.socket, password: str | None) -> list[Any]:
    """A server in miniature for one libpq client: SCRAM, then 1 to whatever is asked."""
    sock, _ = listener.accept()
    with sock:
        decoder = FrontendDecoder()
        peer = Peer(sock, decoder)
        opening = peer.read_until(m.StartupMessage)
        scram = ScramServer(opening[-1].user, password, mock_key=MOCK_KEY)
        peer.send(negotiation(opening[-1]) + encode.authentication_sasl(scram.mechanisms))
        initial = m.SASLInitialResponse.parse(peer.read().data)
        challenge = scram.receive_first(initial.mechanism, initial.data)
        peer.send(encode.authentication_sasl_continue(challenge))
        try:
            final = scram.receive_final(peer.read().data)
        except AuthenticationError as error:
            peer.send(encode.error_response(error, "FATAL"))
            return opening
        decoder.authenticated()
        key_length = 32 if opening[-1].minor == 2 else 4
        peer.send(encode.authentication_sasl_final(final) + encode.authentication_ok())
        peer.send(encode.parameter_status("client_encoding", "UTF8"))
        peer.send(encode.parameter_status("server_version", "18.0"))
        peer.send(encode.backend_key_data(4711, bytes(key_length)) + encode.ready_for_query(b"I"))
        return opening + answer(peer)


def negotiation(startup: m.StartupMessage) -> bytes:
    if startup.minor <= 2 and not startup.protocol_options:
        return b""
    return encode.negotiate_protocol_version(2, startup.protocol_options)


def answer(peer: Peer) -> list[Any]:
    column = m.Column(b"?column?", 0, 0, 23, 4, -1, 0)
    asked = peer.read_until(m.Query)
    row = m.RowDescription((column,)).encode() + m.DataRow((b"1",)).encode()
    notice = encode.notice("hello", hint="a hint")
    done = m.CommandComplete(b"SELECT 1").encode() + encode.ready_for_query(b"I")
    peer.send(notice + row + done)
    return asked + peer.read_until(m.Terminate)


@contextmanager
def serving(password: str | None) -> Iterator[tuple[str, Future[list[Any]]]]:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        ThreadPoolExecutor(1) as threads,
    ):
        listener.settimeout(TIMEOUT)
        future = threads.submit(serve, listener, password)
        port = listener.getsockname()[1]
        yield (
            make_conninfo(
                host="127.0.0.1", port=port, user="alice", sslmode="disable",
                gssencmode="disable", connect_timeout=TIMEOUT,
            ),
            future,
        )  # fmt: skip


@pytest.mark.parametrize("password", ["secret", "\u00aa\u2168é", "\u0627a"])
def test_libpq_logs_in_to_us(password: str) -> None:
    with serving(password) as (dsn, served):
        with psycopg.connect(dsn, password=password, autocommit=True) as connection:
            notices: list[str | None] = []
            connection.add_notice_handler(lambda notice: notices.append(notice.message_primary))
            result = connection.pgconn.exec_(b"SELECT 1")
            assert (result.get_value(0, 0), notices) == (b"1", ["hello"])
            assert connection.info.backend_pid == 4711
        received = served.result(TIMEOUT)
    assert [m.StartupMessage, m.Query, m.Terminate] == [type(event) for event in received]


@pytest.mark.skipif(psycopg.pq.version() < 180000, reason="needs libpq 18 for protocol 3.2")
@pytest.mark.parametrize(("asked", "spoken"), [("3.2", 30002), ("latest", 30002), ("3.0", 30000)])
def test_libpq_and_protocol_3_2(asked: str, spoken: int) -> None:
    with serving("secret") as (dsn, served):
        with psycopg.connect(
            dsn, password="secret", max_protocol_version=asked, autocommit=True
        ) as connection:
            assert spoken == connection.pgconn.full_protocol_version
            connection.pgconn.exec_(b"SELECT 1")
        served.result(TIMEOUT)


@pytest.mark.parametrize("known", ["secret", None])
def test_libpq_with_a_wrong_password(known: str | None) -> None:
    with serving(known) as (dsn, served):
        with pytest.raises(
            psycopg.OperationalError,
            match='FATAL:  password authentication failed for user "alice"',
        ):
            psycopg.connect(dsn, password="wrong")
        served.result(TIMEOUT)
