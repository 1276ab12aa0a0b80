from __future__ import annotations

import io
import json
import socket
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner
from rich.console import Console

from dbopt import configfile
from dbopt.cli.context import Context
from dbopt.cli.root import main
from dbopt.cli.status import base_url, fetch, status
from dbopt.errors import ConnectError, UsageError
from dbopt.settings import Http
from tests.unit.trace.observations import count, pool, worker
from tests.unit.web.served import SomeState, served


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    state = SomeState()
    state.recorder.add([
        count("SELECT * FROM users WHERE email = 'topsecret'", (9000.0,)),
        count("UPDATE users SET email = '[red]'", (1000.0, 2000.0), errors={"40001": 1}),
    ])  # fmt: skip
    evil = pool(database="[bold]app", user="al[/]ice", sv_idle=2, query_count=77)
    state.workers.observed(0, worker(4711, evil, clients=3))
    state.jobs.ran("stats", "The database cannot be reached.")
    with served(state) as url:
        found = urlsplit(url).port
        assert found
        yield found


def context(port: int) -> tuple[Context, io.StringIO]:
    out = io.StringIO()
    settings = configfile.load(None, {}, [f"http.port={port}"])
    return Context(settings, Console(file=out, width=200)), out


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


def test_tables(port: int) -> None:
    obj, out = context(port)
    result = CliRunner().invoke(status, [], obj=obj, catch_exceptions=False)
    shown = out.getvalue()
    assert 0 == result.exit_code
    for words in (
        "dbopt 1.2.3, up 12 s, gateway on 127.0.0.1:6432. 3 statements", "1 errors", "4711",
        "[bold]app", "al[/]ice", "77", "SELECT * FROM users WHERE email = $1", "update",
        "Store: The schema dbopt is not there.",
        "Job stats failed: The database cannot be reached.",
    ):  # fmt: skip
        assert words in shown
    assert "topsecret" not in shown
    for rare in ("pinned", "reserve", "Refused", "Timeouts", "Mode", "Guard"):
        assert rare not in shown


def test_what_the_guard_refused_is_said() -> None:
    state = SomeState()
    for rule, action, calls in (("cost", "refused", 2), ("ddl", "observed", 3)):
        state.guard.log.add((1, "app", "alice", "web", "", rule, action), calls)
    with served(state) as url:
        obj, out = context(urlsplit(url).port or 0)
        CliRunner().invoke(status, [], obj=obj, catch_exceptions=False)
    assert "Guard (observe): statements 2 refused, 3 would have been." in out.getvalue()


def test_what_is_rare_is_shown_where_there_is_some() -> None:
    state = SomeState()
    pools = (
        pool(user="a", cl_pinned=3, mode="session"),
        pool(user="b", sv_reserve=2, queue_timeouts=40, queue_refusals=2, query_timeouts=5,
             idle_transaction_timeouts=6),
    )  # fmt: skip
    state.workers.observed(0, worker(4711, *pools))
    with served(state) as url:
        obj, out = context(urlsplit(url).port or 0)
        CliRunner().invoke(status, [], obj=obj, catch_exceptions=False)
    lines = [line.split() for line in out.getvalue().splitlines()]
    words = [word for line in lines for word in line]
    for rare in ("Mode", "pinned", "reserve", "Refused", "Timeouts"):
        assert 1 == words.count(rare), rare
    (one,), (other,) = ([w for w in lines if w[:1] == [f"app/{user}"]] for user in "ab")
    assert ["session", "3"] == [one[1], one[4]]
    assert ["2", "42", "11"] == [other[-5], *other[-2:]]


def test_json(port: int) -> None:
    obj, out = context(port)
    result = CliRunner().invoke(status, ["--json", "--top", "1"], obj=obj, catch_exceptions=False)
    answer = json.loads(result.stdout)
    assert "1.2.3" == answer["version"]
    assert ["read"] == [one["kind"] for one in answer["statements"]]
    assert "" == out.getvalue()


def test_no_proxy_is_asked(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    assert "1.2.3" == fetch(f"http://127.0.0.1:{port}", "/status")["version"]


def test_nobody_answers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    monkeypatch.setattr(sys, "argv", ["dbopt", "-s", f"http.port={port}", "status"])
    with pytest.raises(SystemExit) as done:
        main()
    assert 3 == done.value.code
    error = capsys.readouterr().err
    assert f"No dbopt daemon answers at http://127.0.0.1:{port}" in error
    assert "dbopt serve" in error
    assert "Traceback" not in error


def test_another_path_is_refused_in_words(port: int) -> None:
    with pytest.raises(ConnectError, match="refused /nothing: 404"):
        fetch(f"http://127.0.0.1:{port}", "/nothing")


def test_what_is_not_json_is_not_dbopt(port: int) -> None:
    with pytest.raises(ConnectError, match="is not dbopt"):
        fetch(f"http://127.0.0.1:{port}", "/healthz")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8432"), ("0.0.0.0", "http://127.0.0.1:8432"),  # noqa: S104
        ("::", "http://[::1]:8432"), ("::1", "http://[::1]:8432"), ("db7", "http://db7:8432"),
    ],
)  # fmt: skip
def test_base_url(host: str, url: str) -> None:
    assert url == base_url(Http(host=host))


def test_an_unknown_port_is_said() -> None:
    with pytest.raises(UsageError, match=r"http\.port is 0"):
        base_url(Http(port=0))
