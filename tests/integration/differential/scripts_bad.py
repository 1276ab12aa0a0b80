"""What no client should send, ends of connections, and what the server does then."""

from __future__ import annotations

from struct import pack

from tests.integration.differential.script import Script, Scripts, Step, bad, steps
from tests.integration.gateway_support import (
    FLUSH,
    SYNC,
    bind,
    close,
    execute,
    parse,
    query,
    run,
)

TERMINATE = b"X\0\0\0\4"
KILL_ME = "SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(5)"


def message(kind: bytes, payload: bytes) -> bytes:
    """A message of any payload."""
    return kind + pack("!i", len(payload) + 4) + payload


def closing(data: bytes) -> Script:
    """Input after which the connection ends."""
    return bad(query("SELECT 1"), Step(data, b""))


def refused(data: bytes) -> Script:
    """Input that is refused, perhaps without an end to the connection."""
    return bad(query("SELECT 1"), Step(data))


SCRIPTS: Scripts = {
    "a query without its end": steps(b"Q\0\0\0\4", query("SELECT 1")),
    "unknown type": closing(message(b"y", b"")),
    "type of a backend": closing(message(b"T", b"\0\0")),
    "type zero": closing(b"\0\0\0\0\x08"),
    "a password in mid-session": closing(message(b"p", b"secret\0")),
    "a startup packet in mid-session": closing(pack("!ii", 8, 196608)),
    "length 3": closing(b"Q\0\0\0\3"),
    "length 0": closing(b"S\0\0\0\0"),
    "negative length": closing(b"Q\xff\xff\xff\xff"),
    "length of two gigabytes": closing(b"Q\x7f\xff\xff\xff"),
    "parse without an end of its name": refused(message(b"P", b"name") + SYNC),
    "parse without its types": refused(message(b"P", b"\0SELECT 1\0") + SYNC),
    "parse with a count of types too large": refused(message(b"P", b"\0SELECT 1\0\0\5") + SYNC),
    "bind without anything": refused(message(b"B", b"") + SYNC),
    "bind cut short": refused(parse("SELECT $1::int") + message(b"B", b"\0\0\0\0\0\1\0\0") + SYNC),
    "bind with a value too long": refused(
        parse("SELECT $1::int") + message(b"B", b"\0\0\0\0\0\1\0\0\1\0x\0\0") + SYNC
    ),
    "bind with more behind it": refused(
        parse("SELECT 1") + message(b"B", bind()[5:] + b"x") + SYNC
    ),
    "bind with formats that do not match": refused(
        parse("SELECT $1::int") + message(b"B", b"\0\0\0\2\0\0\0\0\0\1\0\0\0\0011\0\0") + SYNC
    ),
    "execute without a number": refused(message(b"E", b"\0") + SYNC),
    "describe of nothing there is": refused(message(b"D", b"Xname\0") + SYNC),
    "describe without a name": refused(message(b"D", b"S") + SYNC),
    "describe without anything": refused(message(b"D", b"") + SYNC),
    "close of nothing there is": refused(message(b"C", b"Xname\0") + SYNC),
    "close without an end": refused(message(b"C", b"Sname") + SYNC),
    "sync with a payload": refused(message(b"S", b"x")),
    "query with more behind its end": refused(message(b"Q", b"SELECT 1\0SELECT 2\0")),
    "query with bytes that are no text": refused(message(b"Q", b"SELECT '\xff\xfe'\0")),
    "function call cut short": refused(message(b"F", b"\0\0")),
    "copy data in two directions": steps(
        Step(message(b"d", b"x") + message(b"c", b"") + message(b"f", b"no\0") + query("SELECT 1"))
    ),
    "terminate": steps(query("SELECT 1"), Step(TERMINATE, b"")),
    "terminate at once": steps(Step(TERMINATE, b"")),
    "terminate in a transaction": steps(
        query("BEGIN; INSERT INTO pets VALUES (1)"), Step(TERMINATE, b"")
    ),
    "terminate after replies": steps(
        Step(query("SELECT 1") + query("SELECT 2"), b"Z", 2),
        Step(TERMINATE + query("SELECT 3"), b"", may_end=True),
    ),
    "terminate with replies pending": steps(
        Step(query("SELECT generate_series(1, 50)") + TERMINATE, b"")
    ),
    "terminate after a batch": steps(Step(run("SELECT 1") + SYNC + TERMINATE, b"")),
    "terminate after an error": steps(
        Step(run("SELECT 1/0") + FLUSH, b"E"), Step(run("SELECT 1") + TERMINATE, b"")
    ),
    "killed in a transaction": bad(query("BEGIN"), Step(query(KILL_ME), b"")),
    "killed in a batch of a transaction": bad(
        query("BEGIN"), Step(parse(KILL_ME) + bind() + execute() + SYNC, b"")
    ),
    "killed with more in flight": bad(
        Step(query(KILL_ME) + query("SELECT 1") + close("S", "x") + SYNC, b"")
    ),
}  # fmt: skip
