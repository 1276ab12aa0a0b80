from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbopt.sdnotify import notify


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """A socket as systemd makes it, and how it is named in NOTIFY_SOCKET."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@{tmp_path}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5.0)
        sock.bind(name.replace("@", "\0", 1) if request.param == "abstract" else name)
        yield name, sock


def test_systemd_is_told(systemd: tuple[str, socket.socket]) -> None:
    name, sock = systemd
    assert notify("READY=1", {"NOTIFY_SOCKET": name}) is True
    assert b"READY=1" == sock.recv(100)


@pytest.mark.parametrize(
    "env",
    [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "/nowhere"}, {"NOTIFY_SOCKET": "/x" * 100}],
)
def test_nobody_to_tell_is_no_error(env: dict[str, str]) -> None:
    assert notify("READY=1", env) is False
