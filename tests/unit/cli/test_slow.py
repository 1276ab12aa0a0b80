from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest

from dbopt.cli.slow import slow_dict
from dbopt.store.slow import SlowRecord
from dbopt.trace.slow import SlowEvent
from tests.unit.cli.calls import Call
from tests.unit.trace.observations import slow
from tests.unit.web.served import SomeState, served

NO_STORE = ("--dsn", "host=127.0.0.1 port=1 connect_timeout=1")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    state = SomeState()
    now = datetime.now(UTC).timestamp()
    state.slow.add([
        slow("SELECT * FROM users WHERE email = '[red]topsecret'", started=now - 60, user="al[/]"),
        slow("SELECT b FROM t", started=now - 30, sqlstate="57014", route="/cart",
             duration_ms=250.0),
        slow("SELECT old FROM t", started=now - 7200),
    ])  # fmt: skip
    state.slow.latest()[1 + 1].waits.update({"Lock:tuple": 9, "CPU": 1})
    with served(state) as url:
        found = urlsplit(url).port
        assert found
        yield found


def test_where_there_is_no_store_the_daemon_is_asked(call: Call, port: int) -> None:
    found = call(*NO_STORE, "-s", f"http.port={port}", "slow")
    assert 0 == found.code
    assert "No store: what the running daemon remembers." in found.out
    for words in ("SELECT b FROM t", "failed with 57014", "250", "/cart", "al[/]@app",
                  "waits Lock:tuple 9, CPU 1", "1.50 s"):  # fmt: skip
        assert words in found.out
    assert "old" not in found.out
    assert "topsecret" not in found.out


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (("--since", "3h"), 3), (("--errors",), 1), (("--route", "/cart"), 1),
        (("--user", "nobody"), 0), (("--limit", "1"), 1), (("--until", "5m"), 0),
    ],
)  # fmt: skip
def test_filters(call: Call, port: int, words: tuple[str, ...], count: int) -> None:
    found = call(*NO_STORE, "-s", f"http.port={port}", "slow", "--json", *words)
    assert count == len(json.loads(found.out))


def test_the_longest_first(call: Call, port: int) -> None:
    found = call(*NO_STORE, "-s", f"http.port={port}", "slow", "--json", "--order", "duration")
    assert [1500.0, 250.0] == [one["duration_ms"] for one in json.loads(found.out)]


def test_nothing_found_is_said(call: Call, port: int) -> None:
    found = call(*NO_STORE, "-s", f"http.port={port}", "slow", "--user", "nobody")
    assert "No statement was slow or failed since" in found.out


def test_neither_store_nor_daemon(call: Call) -> None:
    found = call(*NO_STORE, "-s", "http.port=1", "slow")
    assert 3 == found.code
    assert "PostgreSQL at 127.0.0.1:1" in found.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--since", "sometime"), "is no time"),
        (("--fingerprint", "12"), "A fingerprint is 16 hexadecimal digits."),
        (("--order", "rows"), "'rows' is not one of"),
    ],
)
def test_what_is_wrong_is_said(call: Call, words: tuple[str, ...], said: str) -> None:
    found = call("slow", *words)
    assert 2 == found.code
    assert said in found.err


def test_the_store_and_the_daemon_say_the_same() -> None:
    one = slow(tags={"route": "/x"}, route="/x", sqlstate="57014")
    record = SlowRecord(
        1, datetime.fromtimestamp(one.started, UTC), one.fingerprint, one.text, one.database,
        one.user, one.application, one.duration_ms, one.queue_ms, one.server_ms, one.rows,
        one.sqlstate, one.backend_pid, None, route="/x", tags={"route": "/x"},
    )  # fmt: skip
    told = SlowEvent(one, "read").to_dict()
    del told["kind"]
    assert told == {k: v for k, v in slow_dict(record).items() if k in told}
