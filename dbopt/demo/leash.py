"""A server process that never outlives ours.

A small shell holds the other end of a pipe. When that closes, even by SIGKILL of our process,
it shuts the server down and removes its files. atexit cannot do that; PR_SET_PDEATHSIG needs
a preexec_fn, which is unsafe with threads, and it fires when the *thread* that started the
server ends (prctl(2)).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import weakref
from pathlib import Path

from dbopt.demo.programs import Programs

STOP_TIMEOUT = 20.0

# $1 data directory, $2 directory to remove, then the server's command. The watcher is
# orphaned on purpose, so that the postmaster has no child that it did not fork. A line on
# the pipe means goodbye; end of file means that our process died. The pid file is checked
# because the number might by then belong to another process.
_LEASHED_SERVER = """
exec 3<&0 </dev/null
data=$1 scratch=$2 server=$$
shift 2
( (
  read -r goodbye <&3 && exit 0
  read -r pid <"$data/postmaster.pid" && [ "$pid" = "$server" ] && kill -INT "$server"
  while [ -e "$data/postmaster.pid" ] && kill -0 "$server"; do sleep 0.1; done
  rm -rf -- "$scratch"
) >/dev/null 2>&1 & )
exec 3<&-
exec "$@"
"""


class LeashedServer:
    """A running postmaster. `data` is its data directory; `scratch` goes when we are killed.

    What it prints is appended to `log`, which only its owner reads.
    """

    def __init__(
        self, programs: Programs, command: list[str], *, data: Path, scratch: Path, log: Path
    ) -> None:
        shell = ["/bin/sh", "-c", _LEASHED_SERVER, "sh", str(data), str(scratch), *command]
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        reader, writer = os.pipe()
        self._leash: int | None = writer
        _servers.add(self)
        try:
            with os.fdopen(descriptor, "wb") as output:
                self._process = programs.spawn(shell, stdin=reader, output=output)
        except BaseException:
            self.release()
            raise
        finally:
            os.close(reader)

    @property
    def pid(self) -> int:
        """The postmaster's process id: the shell has become it."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process.poll() is None

    def halt(self, how: signal.Signals) -> None:
        """Stop the server, harder if it does not obey (PostgreSQL, 18.5 Shutting Down)."""
        for number in (how, signal.SIGQUIT, signal.SIGKILL):
            if self.running:
                self._process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_TIMEOUT)
                return

    def release(self) -> None:
        """Let the watcher go, when the server has stopped and its files are seen to."""
        leash, self._leash = self._leash, None
        if leash is None:
            return
        with contextlib.suppress(OSError):
            os.write(leash, b"\n")
        os.close(leash)

    def forget(self) -> None:
        """Drop an inherited leash without a word."""
        leash, self._leash = self._leash, None
        if leash is not None:
            os.close(leash)


_servers: weakref.WeakSet[LeashedServer] = weakref.WeakSet()


def _forget_inherited() -> None:
    """In a forked child: else the server would live as long as the child does."""
    for server in list(_servers):
        server.forget()


os.register_at_fork(after_in_child=_forget_inherited)
