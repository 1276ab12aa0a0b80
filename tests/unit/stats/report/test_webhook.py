"""The webhook, sent to a real HTTP server on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from dbopt.errors import ConfigError, DboptError
from dbopt.reportsettings import Report as Settings
from dbopt.stats.report import webhook
from dbopt.stats.report.model import Report


class Receiver(HTTPServer):
    """Answers with `statuses` in turn, then 200; remembers what was posted."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.statuses: list[int] = []
        self.posted: list[Any] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/secret-path"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Receiver)
        self.server.posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        self.send_response(status)
        if status == 302:
            self.send_header("Location", self.server.url)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None: ...


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def send(day: Report, url: str, **settings: Any) -> list[float]:
    """The waits between attempts."""
    waited: list[float] = []
    webhook.send(day, Settings(webhook=url, **settings), "https://reports/x", waited.append)
    return waited


def test_what_is_sent(day: Report, receiver: Receiver) -> None:
    assert [] == send(day, receiver.url)
    (posted,) = receiver.posted
    assert day.verdict == posted["verdict"]
    assert posted["text"].endswith("https://reports/x")
    assert len(day.remarks) == len(posted["summary"])
    assert posted["report"].startswith("# db1")
    assert "https://reports/x" == posted["link"]


def test_what_may_pass_is_tried_again(day: Report, receiver: Receiver) -> None:
    receiver.statuses = [503, 429]
    waited = send(day, receiver.url)
    assert 2 == len(waited)
    assert 0 < waited[0] < waited[1]
    assert 3 == len(receiver.posted)


def test_it_gives_up(day: Report, receiver: Receiver) -> None:
    receiver.statuses = [500] * 9
    with pytest.raises(DboptError) as failed:
        send(day, receiver.url)
    assert webhook.ATTEMPTS == len(receiver.posted)
    assert "it answered 500" in str(failed.value)
    assert "secret-path" not in str(failed.value)


@pytest.mark.parametrize("status", [302, 403])
def test_what_is_refused_is_not_tried_again(day: Report, receiver: Receiver, status: int) -> None:
    receiver.statuses = [status]
    with pytest.raises(DboptError, match=f"it answered {status}"):
        send(day, receiver.url)
    assert 1 == len(receiver.posted)


def test_nobody_there(day: Report, receiver: Receiver) -> None:
    with pytest.raises(DboptError, match="ConnectionRefusedError") as failed:
        send(day, "http://127.0.0.1:1/secret-path")
    assert "secret-path" not in str(failed.value)


@pytest.mark.parametrize(
    "url", ["http://hooks.example/x", "ftp://127.0.0.1/", "https://", "http://[", "x"]
)
def test_urls_that_may_not_be_used(day: Report, url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        send(day, url)
    assert "hooks.example" not in str(refused.value)


def test_urls_that_may() -> None:
    webhook.allowed("https://hooks.example/x", insecure=False)
    webhook.allowed("http://[::1]:80/x", insecure=False)
    webhook.allowed("http://hooks.example/x", insecure=True)
