"""Gateway workers as children of a process that has imported all that they need.

To start Python and import takes a worker 0.35 s of CPU, and the tests start five hundred. Here the
standard library's fork server does both once, and a worker takes 10 ms. It is a process of its own
all the same, with the entry point, descriptors, environment and standard error of a real one;
the tests of the daemon and the demo start real ones.
"""

from __future__ import annotations

import asyncio
import fcntl
import multiprocessing
import os
import sys
from multiprocessing.context import ForkServerProcess
from multiprocessing.reduction import DupFd
from typing import Any

from dbopt.gateway import life

_CONTEXT = multiprocessing.get_context("forkserver")
# The first one keeps out of that process what no worker imports.
_CONTEXT.set_forkserver_preload(["dbopt.gateway.__main__", __name__])


class Worker:
    """A worker's process, as asyncio.subprocess.Process shows it."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process
        self._ended = asyncio.get_running_loop().create_future()
        self.pid = process.pid
        self.returncode: int | None = None
        asyncio.get_running_loop().add_reader(process.sentinel, self._has_ended)

    def _has_ended(self) -> None:
        asyncio.get_running_loop().remove_reader(self._process.sentinel)
        self.returncode = self._process.exitcode
        self._process.close()
        self._ended.set_result(self.returncode)

    async def wait(self) -> Any:
        return await asyncio.shield(self._ended)

    def kill(self) -> None:
        if self.returncode is None:
            self._process.kill()


def start(link: int, listeners: list[int]) -> Worker:
    """Start a worker with its end of the link and the listening sockets, at the same numbers."""
    files = {number: DupFd(number) for number in (1, 2, link, *listeners)}
    process = _CONTEXT.Process(target=_work, args=(link, files, dict(os.environ), os.getcwd()))
    process.start()
    return Worker(process)


def _work(link: int, files: dict[int, Any], environ: dict[str, str], directory: str) -> None:
    """In the new process."""
    held = {number: file.detach() for number, file in files.items()}
    beyond = max(*held, *held.values()) + 1
    for number, file in held.items():
        held[number] = fcntl.fcntl(file, fcntl.F_DUPFD, beyond)
        os.close(file)
    for number, file in held.items():
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(directory)
    sys.argv = ["dbopt.gateway", str(link)]
    life.main()
