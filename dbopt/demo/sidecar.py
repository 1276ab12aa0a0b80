"""The daemon of the demo: a process of its own, as it is in production, asked over HTTP."""

from __future__ import annotations

import contextlib
import json
import os
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
    """`dbopt serve` in front of a server, with these settings. A context manager."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.gateway_port = port_or_free(TABLE["gateway.port"].default)
        self.http_port = port_or_free(TABLE["http.port"].default)
        self._settings = {
            **settings,
            "gateway.port": self.gateway_port,
            "http.port": self.http_port,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._log = Path()

    @property
    def url(self) -> str:
        """Where it answers HTTP."""
        return f"http://127.0.0.1:{self.http_port}"

    def __enter__(self) -> Self:
        handle, name = tempfile.mkstemp(prefix="dbopt-demo-", suffix=".log")
        self._log = Path(name)
        command = [sys.executable, "-m", "dbopt", "--config", os.devnull, "serve"]
        with os.fdopen(handle, "wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - ourselves, no word of a user's
                ["/bin/sh", "-c", _LEASHED, "sh", *command],
                env=self._environment(), stdin=subprocess.PIPE, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        try:
            self._wait_ready(self._process)
        except BaseException:
            self._stop(self._process)
            raise
        return self

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
        return others | {TABLE[k].env: _text(v) for k, v in self._settings.items()}

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

    def _wait_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _READY_WITHIN
        while time.monotonic() < deadline:
            if process.poll() is not None:
                break
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
        self._log.unlink(missing_ok=True)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
