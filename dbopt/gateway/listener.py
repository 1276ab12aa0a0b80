"""The listening sockets. The control process opens them and hands them down to the workers,
so that a worker can be replaced without refusing a connection."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from pathlib import Path

from dbopt.errors import ConfigError
from dbopt.settings import Gateway

_BACKLOG = 1024
_ANYONE = 0o777
"""Who may open the unix socket is said by the directory's mode, as PostgreSQL's own does."""


def listen(gateway: Gateway) -> list[socket.socket]:
    """The sockets that the settings ask for; ConfigError where one cannot be had."""
    sockets: list[socket.socket] = []
    try:
        if gateway.host:
            sockets.append(tcp(gateway.host, gateway.port))
        if gateway.unix_socket_dir:
            port = sockets[0].getsockname()[1] if sockets else gateway.port
            sockets.append(_unix(socket_path(gateway.unix_socket_dir, port)))
    except ConfigError:
        close(sockets)
        raise
    return sockets


def socket_path(directory: str, port: int) -> Path:
    """Where clients look for the unix socket."""
    return Path(directory) / f".s.PGSQL.{port}"


def close(sockets: list[socket.socket]) -> None:
    """Close them, and remove the unix socket's file."""
    for sock in sockets:
        if sock.family == socket.AF_UNIX:
            with contextlib.suppress(OSError):
                os.unlink(sock.getsockname())
        sock.close()


def tcp(
    host: str, port: int, *, section: str = "gateway", backlog: int = _BACKLOG
) -> socket.socket:
    """A socket that listens on the first address of `host`; port 0 takes a free one.

    Raises ConfigError, which names the settings `section.host` and `section.port`.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Who connects inherits it: a client whose machine is gone is found out some day.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock.bind(address)
            sock.listen(backlog)
        except OSError:
            sock.close()
            raise
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"{section}.port: cannot listen on {host}:{port}: "
            f"{getattr(error, 'strerror', None) or error}.",
            hint=f"Give another with {section}.host and {section}.port; port 0 takes a free one.",
        ) from None
    return sock


def _unix(path: Path) -> socket.socket:
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(str(path))
        path.chmod(_ANYONE)
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        raise ConfigError(
            f"gateway.unix_socket_dir: cannot listen on {path}: {error.strerror or error}.",
            hint="Give a directory that exists, can be written, and has a short path.",
        ) from None
    return sock


def _remove_stale(path: Path) -> None:
    """A socket file that nobody listens on is left over from a crash."""
    if not path.exists() or not stat.S_ISSOCK(path.stat().st_mode):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
        except OSError:
            return
