"""Listener: the sockets, and what is in their way."""

from __future__ import annotations

import os
import socket
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dbopt.errors import ConfigError
from dbopt.gateway.listener import close, listen, socket_path
from dbopt.settings import Settings


def gateway(**values: Any) -> Any:
    return replace(Settings().gateway, **{"host": "127.0.0.1", "port": 0, **values})


def test_tcp_and_unix_share_the_port(tmp_path: Path) -> None:
    sockets = listen(gateway(unix_socket_dir=str(tmp_path)))
    try:
        tcp, unix = sockets
        port = tcp.getsockname()[1]
        path = tmp_path / f".s.PGSQL.{port}"
        assert path == socket_path(str(tmp_path), port)
        assert str(path) == unix.getsockname()
        assert 0o777 == stat.S_IMODE(path.stat().st_mode)
        for family, address in ((socket.AF_INET, tcp.getsockname()), (socket.AF_UNIX, str(path))):
            with socket.socket(family) as client:
                client.connect(address)
    finally:
        close(sockets)
    assert not path.exists()


def test_clients_that_are_gone_are_found_out() -> None:
    (sock,) = listen(gateway())
    try:
        with socket.create_connection(sock.getsockname()), sock.accept()[0] as accepted:
            assert 1 == accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    finally:
        close([sock])


def test_unix_alone(tmp_path: Path) -> None:
    sockets = listen(gateway(host="", port=6432, unix_socket_dir=str(tmp_path)))
    assert [str(tmp_path / ".s.PGSQL.6432")] == [sock.getsockname() for sock in sockets]
    close(sockets)


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=f"127.0.0.1:{port}: Address already in use"):
            listen(gateway(port=port))


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 300])
def test_a_host_that_is_none(host: str) -> None:
    with pytest.raises(ConfigError, match="cannot listen on"):
        listen(gateway(host=host))


def test_a_directory_that_is_none_leaves_no_socket_open(tmp_path: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(ConfigError, match="unix_socket_dir"):
        listen(gateway(unix_socket_dir=str(tmp_path / "none")))
    assert before == set(os.listdir("/proc/self/fd"))


def test_what_a_crash_left_is_replaced_and_what_is_served_is_not(tmp_path: Path) -> None:
    path = tmp_path / ".s.PGSQL.6432"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    assert path.exists()
    sockets = listen(gateway(host="", port=6432, unix_socket_dir=str(tmp_path)))
    with pytest.raises(ConfigError, match="Address already in use"):
        listen(gateway(host="", port=6432, unix_socket_dir=str(tmp_path)))
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    close(sockets)


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / ".s.PGSQL.6432"
    path.write_text("precious")
    with pytest.raises(ConfigError):
        listen(gateway(host="", port=6432, unix_socket_dir=str(tmp_path)))
    assert "precious" == path.read_text()
