"""A listening unix socket that only its owner may open."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

from dbopt.errors import ConfigError

_OWNER = 0o600
_PROBE = 1.0


def listen_private(path: str, setting: str, backlog: int = 128) -> socket.socket:
    """A socket with mode 0600 at `path`; one that a crash left there is replaced.

    Raises ConfigError, which names `setting`: somebody listens there, the directory is missing or
    may not be written, the path is too long (107 bytes on Linux), or another file is there.
    """
    _remove_stale(Path(path), setting)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Before it has a name, so that there is no moment at which others may open it.
        os.fchmod(sock.fileno(), _OWNER)
        sock.bind(path)
        os.chmod(path, _OWNER)
        sock.listen(backlog)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise ConfigError(
            f"{setting}: cannot listen on {path}: {error.strerror or error}.",
            hint="Give a path in a directory that exists, that dbopt may write, and that is short.",
        ) from None
    return sock


def _remove_stale(path: Path, setting: str) -> None:
    try:
        mode = path.lstat().st_mode
    except OSError:
        return  # It is not there; or bind will say what is wrong.
    if not stat.S_ISSOCK(mode):
        raise ConfigError(
            f"{setting}: {path} is there and is no socket.", hint="Give another path."
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError:
            pass
    raise ConfigError(
        f"{setting}: somebody listens on {path} already.",
        hint="Give each daemon a path of its own, or end the other.",
    )
