"""Lookup: its few connections, and what it makes of the server's answers. The server is played."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

import pytest

from dbopt.errors import ConnectError, DboptError, QueryFailed, ServerRefused, UnknownDatabase
from dbopt.gateway import lookup as lookup_module
from dbopt.gateway.connect import Session
from dbopt.gateway.lookup import IDLE, MAX_AT_ONCE, MAX_BACKENDS, Lookup
from dbopt.wire import encode
from dbopt.wire import messages as m
from dbopt.wire.scan import messages as scan

T = TypeVar("T")
Answer = Callable[[str], list[m.DataRow] | m.ErrorResponse]
READY = encode.ready_for_query(b"I")


class Played:
    """A connection: a Session and its transport. It answers at the next turn of the loop."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.transport = self
        self.protocol: Any = None
        self.asked: list[str] = []
        self.sql: list[bytes] = []
        self.aborted = False

    def hand_over(self, protocol: asyncio.BaseProtocol) -> bytes:
        self.protocol = protocol
        return b""

    def write(self, data: bytes) -> None:
        for kind, start, end in scan(data):
            if kind == ord("P"):
                self.sql.append(m.Parse.parse(data[start + 5 : end]).sql)
            elif kind == ord("B") and (values := m.Bind.parse(data[start + 5 : end]).values):
                self.asked.append((values[0] or b"").decode())
        asyncio.get_running_loop().create_task(self._reply(self.asked[-1]))

    async def _reply(self, user: str) -> None:
        await self.server.gate.wait()
        if self.aborted:
            return
        if self.server.lose:
            self.protocol.connection_lost(None)
            return
        found = self.server.answer(user)
        rows = found if isinstance(found, list) else [found]
        data = b"".join(row.encode() for row in rows)
        self.protocol.data_received(m.CommandComplete(b"SET").encode() + data + READY)

    def abort(self) -> None:
        self.aborted = True


class Server:
    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.opened: list[Played] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.lose = False
        self.error: DboptError | None = None

    async def connect(self, database: str) -> Session:
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        self.opened.append(Played(self))
        return cast(Session, self.opened[-1])


def row(*values: bytes | None) -> m.DataRow:
    return m.DataRow(values)


def same(user: str) -> list[m.DataRow]:
    return [row(user.encode(), b"secret of " + user.encode())]


def make(server: Server, clock: Callable[[], float] = lambda: 0.0) -> Lookup:
    return Lookup("SELECT $1", server.connect, lambda _: "keeper", clock)


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def test_the_statement_has_a_safe_search_path_and_a_bound_parameter() -> None:
    async def body() -> None:
        server = Server(same)
        lookup = make(server)
        assert "secret of a'b" == await lookup.secret_text("shop", "a'b")
        (connection,) = server.opened
        assert [b"SET search_path = pg_catalog, pg_temp", b"SELECT $1"] == connection.sql
        assert ["a'b"] == connection.asked

    run(body())


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [row(b"ann")],
        [row(b"bob", b"x")],
        [row(None, b"x")],
        [row(b"ann", None)],
        [row(b"ann", b"")],
        [row(b"ann", b"x"), row(b"ann", b"x")],
        [row(b"ann", b"x")] * 1000,
    ],
)
def test_answers_that_let_nobody_in(rows: list[m.DataRow]) -> None:
    assert run(_ask(Server(lambda _: rows), "ann")) is None


def test_auth_user_is_never_asked_for_cve_2015_6817() -> None:
    server = Server(same)
    assert run(_ask(server, "keeper")) is None
    assert [] == server.opened


async def _ask(server: Server, user: str) -> str | None:
    return await make(server).secret_text("shop", user)


@pytest.mark.parametrize(
    "error", [UnknownDatabase("none"), ServerRefused("no such database", "3D000")]
)
def test_an_unknown_database_has_no_users(error: DboptError) -> None:
    async def body() -> None:
        server = Server(same)
        server.error = error
        assert await make(server).secret_text("shop", "ann") is None

    run(body())


def test_an_error_of_the_statement() -> None:
    refusal = m.ErrorResponse({"S": b"ERROR", "C": b"42501", "M": b"permission denied"})
    with pytest.raises(QueryFailed, match="permission denied"):
        run(_ask(Server(lambda _: refusal), "ann"))


@pytest.mark.parametrize("sqlstate", [b"22021", b"22P05"])
def test_a_name_that_is_no_text_is_nobodys_and_costs_no_connection(sqlstate: bytes) -> None:
    async def body() -> None:
        refusal = m.ErrorResponse({"S": b"ERROR", "C": sqlstate, "M": b"invalid byte sequence"})
        server = Server(lambda _: refusal)
        lookup = make(server)
        assert await lookup.secret_text("shop", "odd") is None
        assert await lookup.secret_text("shop", "odder") is None
        assert 1 == len(server.opened)

    run(body())


def test_connections_are_few_and_used_again() -> None:
    async def body() -> None:
        server = Server(same)
        lookup = make(server)
        users = [f"user{number}" for number in range(50)]
        found = await asyncio.gather(*(lookup.secret_text("shop", user) for user in users))
        assert [f"secret of {user}" for user in users] == found
        assert MAX_BACKENDS == len(server.opened)

    run(body())


def test_connections_are_few_over_all_databases() -> None:
    async def body() -> None:
        server = Server(same)
        server.gate.clear()
        lookup = make(server)
        asking = [
            asyncio.create_task(lookup.secret_text(f"db{number}", "ann")) for number in range(50)
        ]
        for _ in range(20):
            await asyncio.sleep(0)
        assert MAX_AT_ONCE == len(server.opened)
        server.gate.set()
        assert ["secret of ann"] * 50 == await asyncio.gather(*asking)

    run(body())


def test_one_that_was_lost_meanwhile_is_replaced() -> None:
    async def body() -> None:
        server = Server(same)
        lookup = make(server)
        await lookup.secret_text("shop", "ann")
        server.opened[0].protocol.connection_lost(None)
        assert "secret of ann" == await lookup.secret_text("shop", "ann")
        assert 2 == len(server.opened)

    run(body())


def test_one_that_is_lost_while_it_is_asked_is_replaced_once() -> None:
    async def body() -> None:
        server = Server(same)
        lookup = make(server)
        await lookup.secret_text("shop", "ann")
        server.lose = True
        with pytest.raises(DboptError, match="closed the connection"):
            await lookup.secret_text("shop", "ann")
        assert 2 == len(server.opened)
        server.lose = False
        assert "secret of ann" == await lookup.secret_text("shop", "ann")

    run(body())


def test_who_waited_for_one_that_failed_is_told_the_same() -> None:
    async def body() -> None:
        server = Server(same)
        server.error = ConnectError("it is away")
        lookup = make(server)
        asking = [lookup.secret_text("shop", f"user{number}") for number in range(20)]
        found = await asyncio.gather(*asking, return_exceptions=True)
        assert ["it is away"] * 20 == [str(error) for error in found]

    run(body())


def test_a_statement_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup_module, "TIMEOUT", 0.05)

    async def body() -> None:
        server = Server(same)
        server.gate.clear()
        with pytest.raises(ConnectError, match="longer than"):
            await make(server).secret_text("shop", "ann")
        assert server.opened[0].aborted

    run(body())


def test_what_is_not_used_is_closed() -> None:
    async def body() -> None:
        now = [0.0]
        server = Server(same)
        lookup = make(server, lambda: now[0])
        await lookup.secret_text("shop", "ann")
        aborted = []
        for now[0] in (IDLE - 1, IDLE):
            lookup.tick(now[0])
            aborted.append(server.opened[0].aborted)
        assert [False, True] == aborted
        assert {} == lookup._lanes

    run(body())


def test_closing_leaves_none_behind() -> None:
    async def body() -> None:
        server = Server(same)
        lookup = make(server)
        await lookup.secret_text("shop", "ann")
        server.gate.clear()
        asking = asyncio.create_task(lookup.secret_text("other", "ann"))
        for _ in range(5):
            await asyncio.sleep(0)
        lookup.close()
        server.gate.set()
        assert "secret of ann" == await asking
        assert [True, True] == [connection.aborted for connection in server.opened]

    run(body())
