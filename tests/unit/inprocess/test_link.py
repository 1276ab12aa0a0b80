from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbopt.frames import frame
from dbopt.inprocess.link import Link
from dbopt.inprocess.messages import VERSION, Refused, Report, ToPool, Welcome
from dbopt.observation import Repeated

WELCOME = Welcome(VERSION, 5.0, True, 3)


class Answering(threading.Thread):
    """Accepts one pool after another, and gives each the next answer."""

    def __init__(self, path: Path, answers: list[bytes]) -> None:
        super().__init__()
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.bind(str(path))
        self.sock.listen()
        self.answers = answers
        self.start()

    def run(self) -> None:
        with self.sock:
            for answer in self.answers:
                client, _ = self.sock.accept()
                with client:
                    client.recv(1000)
                    client.sendall(answer)
                    while answer == frame(WELCOME) and client.recv(100_000):
                        pass


def reports(number: int = 1) -> Iterator[Report]:
    yield from [Report()] * number


def test_it_waits_longer_and_longer_for_a_daemon_that_is_away(tmp_path: Path) -> None:
    now, tried = [0.0], 0
    link = Link(str(tmp_path / "none"), "p", lambda _: None, clock=lambda: now[0])
    for _ in range(100):
        before = link._not_before
        assert 0 == link.send(reports())
        tried += link._not_before != before
        now[0] += 1.0
    assert 5 <= tried <= 9
    assert not link.connected


def test_a_report_that_cannot_be_sent_holds_up_no_other(tmp_path: Path) -> None:
    path = tmp_path / "s"
    daemon = Answering(path, [frame(WELCOME)])
    link = Link(str(path), "p", lambda _: None)
    bad = Report(repeated=[Repeated(1, "d", "u", "a", "\udce9", 1, 10, 10)])
    assert 2 == link.send(iter([bad, Report()]))
    assert link.connected
    link.close()
    daemon.join()


@pytest.mark.parametrize(
    "answer",
    [b"", b"\xff\xff\xff\xff", b"\0\0\0\1\xc1", frame(Refused("Go away.")), frame(Report())],
)
def test_an_answer_that_is_none(tmp_path: Path, answer: bytes) -> None:
    path = tmp_path / "s"
    server = Answering(path, [answer])
    link = Link(str(path), "p", lambda _: None)
    assert 0 == link.send(reports())
    assert not link.connected
    server.join()


def test_it_sends_and_hears_of_the_settings(tmp_path: Path) -> None:
    heard: list[ToPool] = []
    server = Answering(tmp_path / "s", [frame(WELCOME)])
    link = Link(str(tmp_path / "s"), "p", heard.append)
    assert 3 == link.send(reports(3))
    assert link.connected
    assert [WELCOME] == heard
    link.close()
    server.join()
