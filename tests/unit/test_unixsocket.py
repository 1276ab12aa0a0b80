from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from dbopt.errors import ConfigError
from dbopt.unixsocket import listen_private


def test_only_the_owner_may_open_it_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    before = os.umask(0)
    try:
        with listen_private(str(path), "trace.socket") as sock:
            assert 0o600 == stat.S_IMODE(path.stat().st_mode)
            assert not sock.getblocking()
    finally:
        os.umask(before)


def test_a_stale_socket_is_replaced_and_a_live_one_is_not(tmp_path: Path) -> None:
    path = str(tmp_path / "a.sock")
    listen_private(path, "trace.socket").close()
    with (
        listen_private(path, "trace.socket"),
        pytest.raises(ConfigError, match=r"trace\.socket: somebody listens on .*a\.sock already"),
    ):
        listen_private(path, "trace.socket")


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    path.write_text("precious")
    with pytest.raises(ConfigError, match="is no socket"):
        listen_private(str(path), "trace.socket")
    path.unlink()
    target = tmp_path / "target"
    path.symlink_to(target)
    with pytest.raises(ConfigError, match="is no socket"):
        listen_private(str(path), "trace.socket")
    assert not target.exists()


@pytest.mark.parametrize("path", ["missing/a.sock", "a" * 200])
def test_what_cannot_be_is_told(tmp_path: Path, path: str) -> None:
    with pytest.raises(ConfigError, match=r"trace\.socket: cannot listen on"):
        listen_private(str(tmp_path / path), "trace.socket")


def test_it_accepts(tmp_path: Path) -> None:
    path = str(tmp_path / "a.sock")
    with listen_private(path, "x") as sock, socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        sock.accept()[0].close()
