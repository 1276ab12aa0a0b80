"""Captures of real traffic: what programs and PostgreSQL said to each other, by direction.

`NAME.client` and `NAME.server` hold the bytes of one connection each. tests/fuzz/record.py
made them, on a database that SETUP had filled.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dbopt.wire import types
from dbopt.wire.scan import messages as scan

DIRECTORY = Path(__file__).parent / "corpus"

SETUP = """
CREATE TABLE bank (id int PRIMARY KEY, money int NOT NULL);
INSERT INTO bank SELECT g, 100 FROM generate_series(1, 100) g;
CREATE TABLE pets (id int, name text, born date);
INSERT INTO pets VALUES (1, 'Rex', '2020-01-01'), (2, NULL, NULL);
"""

_ENCRYPTION = (types.SSL_REQUEST, types.GSSENC_REQUEST)


@dataclass(frozen=True)
class Capture:
    """One connection. `opening` is its packets without a type; the rest is whole messages."""

    name: str
    opening: tuple[bytes, ...]
    client: tuple[bytes, ...]
    server: tuple[bytes, ...]

    @property
    def turns(self) -> list[tuple[bytes, ...]]:
        """The server's messages after the login, cut behind each ReadyForQuery."""
        found: list[tuple[bytes, ...]] = []
        turn: list[bytes] = []
        for message in self.server:
            turn.append(message)
            if message[0] == types.B_READY_FOR_QUERY:
                found.append(tuple(turn))
                turn = []
        return found[1:]


def _opening(data: bytes) -> tuple[tuple[bytes, ...], bytes]:
    """The packets up to the startup message or cancel request, and what follows them."""
    packets: list[bytes] = []
    while data:
        length = int.from_bytes(data[:4])
        packets.append(data[:length])
        data = data[length:]
        if int.from_bytes(packets[-1][4:8]) not in _ENCRYPTION:
            break
    return tuple(packets), data


def _messages(data: bytes, name: str) -> tuple[bytes, ...]:
    found = tuple(data[start:end] for _, start, end in scan(data))
    assert sum(map(len, found)) == len(data), f"{name} ends inside a message"
    return found


def read(name: str) -> Capture:
    """The capture of that name."""
    opening, client = _opening((DIRECTORY / f"{name}.client").read_bytes())
    server = (DIRECTORY / f"{name}.server").read_bytes()[len(opening) - 1 :]
    return Capture(name, opening, _messages(client, name), _messages(server, name))


@cache
def captures() -> tuple[Capture, ...]:
    """All captures, cancel requests included, in the order of their names."""
    return tuple(read(path.stem) for path in sorted(DIRECTORY.glob("*.client")))


@cache
def sessions() -> tuple[Capture, ...]:
    """The captures that ran something."""
    return tuple(capture for capture in captures() if len(capture.client) > 1)
