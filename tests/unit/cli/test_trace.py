from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
from msgspec.structs import replace

from dbopt.cli.traceshow import chart
from dbopt.sql.fingerprint import fingerprint, fingerprint_hex
from dbopt.trace.planbook import CapturedPlan
from tests.unit.cli.calls import Call
from tests.unit.trace.observations import count, slow
from tests.unit.web.served import SomeState, served

SQL = "SELECT * FROM users WHERE email = '[red]topsecret'"
NUMBER = fingerprint_hex(fingerprint(SQL))
NO_STORE = ("--dsn", "host=127.0.0.1 port=1 connect_timeout=1")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    state = SomeState()
    state.recorder.add([
        count(SQL, (9000.0, 1000.0), queue_us=5000.0, transfer_us=1000.0, route="/cart"),
        count(SQL, (2000.0,), user="al[/]ice", errors={"57014": 1}), count("SELECT 1"),
        replace(count("SELECT 2"), fingerprint=0, text=""),
    ])  # fmt: skip
    state.slow.add([slow(SQL, started=datetime.now(UTC).timestamp())])
    state.slow.latest()[0].waits["Lock:tuple"] = 3
    state.plans.kept[int(NUMBER, 16)] = CapturedPlan(
        int(NUMBER, 16), "app", 1.5, "s", ("Seq Scan on users",), 1_700_000_000.0, 1200.0
    )
    with served(state) as url:
        found = urlsplit(url).port
        assert found
        yield found


def test_what_the_daemon_remembers(call: Call, port: int) -> None:
    found = call(*NO_STORE, "-s", f"http.port={port}", "trace", NUMBER.upper())
    assert 0 == found.code
    for words in (
        f"Statement {NUMBER}: read", "SELECT * FROM users WHERE email = $1", "No store:",
        "3 calls, 12 ms in all, 4 ms each", "queue 41.7 %, server 50.0 %, transfer 8.3 %",
        "Users: alice 83.3 %, al[/]ice 16.7 %.", "/cart 83.3 %", "Lock:tuple 100.0 % of 3 samples",
        "1.50 s", "Seq Scan on users", "dbopt index advise",
    ):  # fmt: skip
        assert words in found.out
    assert "topsecret" not in found.out


def test_json(call: Call, port: int) -> None:
    found = call(*NO_STORE, "-s", f"http.port={port}", "trace", NUMBER, "--json")
    story = json.loads(found.out)
    assert (NUMBER, "read", "daemon", 3, 12_000, 1) == (
        story["fingerprint"], story["kind"], story["source"], story["calls"], story["total_us"],
        story["errors"],
    )  # fmt: skip
    assert story["complexity"]["score"] > 0


def test_an_unknown_statement(call: Call, port: int) -> None:
    found = call(*NO_STORE, "-s", f"http.port={port}", "trace", "00000000000000ff")
    assert (2, "") == (found.code, found.out)
    assert "No statement 00000000000000ff was seen since" in found.line
    assert "`dbopt slow`" in found.line


def test_what_is_not_told_apart(call: Call, port: int) -> None:
    found = call(*NO_STORE, "-s", f"http.port={port}", "trace", "0" * 16)
    assert 0 == found.code
    assert f"Statement {'0' * 16}: other" in found.out


def test_no_fingerprint(call: Call) -> None:
    found = call("trace", "12")
    assert (2, "") == (found.code, found.out)
    assert "A fingerprint is 16 hexadecimal digits." in found.err


def test_neither_store_nor_daemon(call: Call) -> None:
    found = call(*NO_STORE, "-s", "http.port=1", "trace", NUMBER)
    assert (3, "") == (found.code, found.out)


@pytest.mark.parametrize(
    ("values", "bars"),
    [([0, 1, 2, 4], " ▂▄█"), ([5] * 120, "█" * 60), ([], ""), ([0, 0], "  "), ([7], "█")],
)
def test_charts(values: list[float], bars: str) -> None:
    assert f" mean  {bars}  at most" in chart("mean", values).plain
