"""How many clients the limit of open files leaves room for, and what is said of it."""

from __future__ import annotations

import errno
import os
import resource
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from dbopt.gateway.openfiles import SPARE, OpenFiles, backends, raise_limit
from dbopt.settings import Database, Settings


def settings(max_clients: int = 50, **databases: Database) -> Settings:
    found = Settings()
    pool = replace(found.pool, max_size=10, reserve_size=2)
    gateway = replace(found.gateway, max_clients=max_clients)
    return replace(found, pool=pool, gateway=gateway, databases=databases)


def limited(monkeypatch: pytest.MonkeyPatch, soft: int, hard: int = 4096) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (soft, hard))


def events(logs: list[Any]) -> list[tuple[str, str]]:
    return [(line["log_level"], line["event"]) for line in logs]


def test_backends_of_the_pools() -> None:
    assert 12 == backends(settings())
    assert 12 + 32 == backends(settings(app=Database(), logs=Database(max_size=30)))


def test_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    limited(monkeypatch, 1000)
    with capture_logs() as logs:
        found = OpenFiles(settings())
    assert 1000 - 12 - SPARE == found.room
    assert 2 * 50 + SPARE == found.most
    assert [] == logs


def test_too_few_are_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    limited(monkeypatch, 100)
    with capture_logs() as logs:
        found = OpenFiles(settings())
    assert 100 - 12 - SPARE == found.room
    assert found.room + SPARE // 2 == found.most
    assert [("warning", "the limit of open files is too low for gateway.max_clients")] == events(
        logs
    )
    assert (100, 50, 12, 24) == (
        logs[0]["limit"], logs[0]["max_clients"], logs[0]["server_connections"],
        logs[0]["room_for_clients"],
    )  # fmt: skip
    assert "LimitNOFILE" in logs[0]["hint"]


def test_a_reload_works_it_out_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    limited(monkeypatch, 100)
    with capture_logs() as logs:
        found = OpenFiles(settings(max_clients=5))
        found.reload(settings(max_clients=25))
    assert 1 == len(logs)


def test_somebody_always_may_come(monkeypatch: pytest.MonkeyPatch) -> None:
    limited(monkeypatch, 20)
    with capture_logs():
        assert 1 == OpenFiles(settings()).room


def test_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    limited(monkeypatch, resource.RLIM_INFINITY)
    with capture_logs() as logs:
        assert OpenFiles(settings(1_000_000)).room > 1_000_000
    assert [] == logs


def test_the_soft_limit_becomes_the_hard_one(monkeypatch: pytest.MonkeyPatch) -> None:
    limited(monkeypatch, 100, 5000)
    asked: list[Any] = []
    monkeypatch.setattr(resource, "setrlimit", lambda which, limit: asked.append((which, limit)))
    raise_limit()
    assert [(resource.RLIMIT_NOFILE, (5000, 5000))] == asked


def test_a_system_that_allows_less_than_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_which: int, _limit: Any) -> None:
        raise ValueError

    monkeypatch.setattr(resource, "setrlimit", refuse)
    raise_limit()


def test_none_left_is_said_once_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    limited(monkeypatch, 100)
    found = OpenFiles(settings(max_clients=20))
    full = found.room + 1

    def none_left(_path: str, _flags: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with capture_logs() as logs:
        found.tick(full)  # there are some left
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", none_left)
            found.tick(found.room)  # nobody is beyond the room: not even looked at
            found.tick(full)
            found.tick(full)
        found.tick(full)
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", none_left)
            found.tick(full)
    said = ("error", "no file descriptor is left: new connections are closed unheard")
    assert [said, said] == events(logs)
