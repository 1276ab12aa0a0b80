"""A server that answers with damaged captures: what stands behind the gateway cannot harm it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress

from dbopt.errors import ProtocolError
from dbopt.wire import encode, types
from dbopt.wire import messages as m
from dbopt.wire.scan import messages as scan
from tests.fuzz.corpus import sessions
from tests.fuzz.mutate import case, mutated, pieces

COLUMNS = m.RowDescription((m.Column(b"text", 0, 0, 25, -1, -1, 0),)).encode()
PARAMETERS = (
    ("server_version", "18.0"), ("client_encoding", "UTF8"), ("DateStyle", "ISO, MDY"),
    ("TimeZone", "UTC"), ("application_name", ""), ("integer_datetimes", "on"),
)  # fmt: skip
GREETING = tuple(
    message
    for message in (
        encode.authentication_ok(),
        *(encode.parameter_status(name, value) for name, value in PARAMETERS),
        m.BackendKeyData(7, b"1234").encode(),
        encode.ready_for_query(b"I"),
    )
)


class HostileServer:
    """Each connection to it is honest until a query comes that names a case: `fuzz NUMBER`.

    A damaged login has the number that `login` gives, if it gives one. Whoever was answered
    with damage is closed, unless the damage happens to be whole.
    """

    def __init__(self, login: Callable[[], int | None]) -> None:
        self.messages = 0
        self.connections = 0
        self._login = login
        self._server: asyncio.Server

    async def start(self) -> int:
        """Listen; gives the port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(OSError, asyncio.IncompleteReadError, ProtocolError):
            length = int.from_bytes(await reader.readexactly(4))
            packet = await reader.readexactly(length - 4)
            if int.from_bytes(packet[:4]) >> 16 == types.PROTOCOL_3_0 >> 16:
                await self._session(reader, writer)
        writer.close()

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = self._login()
        if number is not None:
            chance = case(number)
            await self._send(
                writer, chance, mutated(chance, list(GREETING), sessions(), server=True)
            )
            return
        writer.write(b"".join(GREETING))
        rest = b""
        while data := await reader.read(1 << 16):
            rest += data
            position = 0
            for kind, start, end in scan(rest):
                position = end
                if not await self._answer(writer, kind, rest[start + 5 : end]):
                    return
            rest = rest[position:]

    async def _answer(self, writer: asyncio.StreamWriter, kind: int, payload: bytes) -> bool:
        """Whether the connection goes on."""
        word, _, number = payload.rstrip(b"\0").partition(b" ")
        if kind == types.F_QUERY and word == b"fuzz":
            chance = case(int(number))
            turn = chance.choice([turn for one in sessions() for turn in one.turns])
            found = mutated(chance, list(turn), sessions(), server=True)
            await self._send(writer, chance, found)
            return found == list(turn)
        if kind == types.F_QUERY:
            text = m.DataRow((payload[:-1],)).encode()
            done = encode.ready_for_query(b"I")
            writer.write(COLUMNS + text + m.CommandComplete(b"SELECT 1").encode() + done)
        elif kind == types.F_SYNC:
            writer.write(encode.ready_for_query(b"I"))
        return True

    async def _send(
        self, writer: asyncio.StreamWriter, chance: random.Random, found: list[bytes]
    ) -> None:
        self.messages += len(found)
        for piece in pieces(chance, b"".join(found)):
            writer.write(piece)
            await writer.drain()
