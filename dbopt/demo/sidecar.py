"""The daemon of the demo: a process of its own, as it is in production, asked over HTTP."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dbopt.demo.cluster import free_port
from dbopt.errors import DboptError
from dbopt.settings import TABLE

_READY_WITHIN = 20.0
_STOP_WITHIN = 15.0
_LOG_LINES = 15
_ATTEMPTS = 3
_TAKEN = "cannot listen on"
_NOTIFY = "notify"
_LONGEST = 70

# The daemon ends when we do, even by SIGKILL: a watcher reads our pipe. A line means goodbye,
# end of file that we died. See dbopt.demo.leash.
_LEASHED = """
exec 3<&0 </dev/null
daemon=$$
( (read -r goodbye <&3 || kill -TERM "$daemon") >/dev/null 2>&1 & )
exec 3<&-
exec "$@"
"""

# No proxy: the environment's would be asked for an address of this machine.
_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


class SidecarFailed(DboptError):
    """The daemon did not start."""


def port_or_free(preferred: int) -> int:
    """The port itself, or a free one where it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", preferred))
        except OSError:
            return free_port()
    return preferred


class Sidecar:
    """`dbopt serve` in front of a server, with these settings. A context manager.

    It listens where dbopt does by default, or on free ports where those are taken.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = dict(settings)
        self._process: subprocess.Popen[bytes] | None = None
        self._scratch = Path()
        self.gateway_port = port_or_free(TABLE["gateway.port"].default)
        self.http_port = port_or_free(TABLE["http.port"].default)

    @property
    def url(self) -> str:
        """Where it answers HTTP."""
        return f"http://127.0.0.1:{self.http_port}"

    def __enter__(self) -> Self:
        for left in reversed(range(_ATTEMPTS)):
            try:
                self._start()
                break
            except SidecarFailed as error:
                if not left or _TAKEN not in error.message:
                    raise
                # Another demo was faster than we.
                self.gateway_port, self.http_port = free_port(), free_port()
        return self

    def _start(self) -> None:
        # A unix socket's path has about a hundred bytes at most.
        place = None if len(tempfile.gettempdir()) <= _LONGEST else "/tmp"  # noqa: S108 - mkdtemp makes the name
        self._scratch = Path(tempfile.mkdtemp(prefix="dbopt-demo-", dir=place))
        command = [sys.executable, "-m", "dbopt", "--config", os.devnull, "serve"]
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told,
            self._log.open("wb") as log,
        ):
            told.bind(str(self._scratch / _NOTIFY))
            self._process = subprocess.Popen(  # noqa: S603 - ourselves, no word of a user's
                ["/bin/sh", "-c", _LEASHED, "sh", *command],
                env=self._environment(), stdin=subprocess.PIPE, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
            try:
                self._wait_ready(self._process, told)
            except BaseException:
                self._stop(self._process)
                raise

    @property
    def _log(self) -> Path:
        return self._scratch / "daemon.log"

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._stop(self._process)

    def _environment(self) -> dict[str, str]:
        """By it go the settings: a command line anybody can read. The user's own take no part."""
        others = {k: v for k, v in os.environ.items() if not k.startswith("DBOPT_")}
        ports = {"gateway.port": self.gateway_port, "http.port": self.http_port}
        ours = {TABLE[k].env: _text(v) for k, v in {**self._settings, **ports}.items()}
        return others | ours | {"NOTIFY_SOCKET": str(self._scratch / _NOTIFY)}

    def get(self, path: str) -> Any:
        """The JSON that the daemon answers, None where there is no such thing.

        Raises SidecarFailed.
        """
        try:
            with _open(self.url + path, timeout=10) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == HTTPStatus.NOT_FOUND:
                return None
            raise SidecarFailed(f"The daemon answered {path} with {error.code}.") from None
        except (OSError, ValueError) as error:
            raise SidecarFailed(f"The daemon did not answer {path}: {error}.") from None

    def _wait_ready(self, process: subprocess.Popen[bytes], told: socket.socket) -> None:
        deadline = time.monotonic() + _READY_WITHIN
        told.settimeout(0.05)
        listening = False
        while time.monotonic() < deadline and process.poll() is None:
            if not listening:
                # By its own word: on this port another daemon may answer.
                listening = _says_ready(told)
                continue
            try:
                _open(self.url + "/readyz", timeout=2).close()
            except OSError:
                time.sleep(0.05)
                continue
            return
        raise SidecarFailed(f"The daemon did not become ready. Its last words:\n{self._tail()}")

    def _tail(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-_LOG_LINES:])

    def _stop(self, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process.stdin is not None:
            with contextlib.suppress(OSError), process.stdin as leash:
                leash.write(b"\n")
        shutil.rmtree(self._scratch, ignore_errors=True)


def _says_ready(told: socket.socket) -> bool:
    try:
        return told.recv(1024).startswith(b"READY=1")
    except TimeoutError:
        return False


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
