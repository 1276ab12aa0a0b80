"""The life of a worker process: wait for Start, serve, obey the control process, drain."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import signal
import socket
import sys
from collections.abc import AsyncIterator

import uvloop

from dbopt.clock import monotonic
from dbopt.gateway.link import (
    Answered,
    Cancelled,
    Drain,
    Forget,
    Reload,
    Start,
    ToWorker,
    read_to_worker,
)
from dbopt.gateway.openfiles import raise_limit
from dbopt.gateway.worker import Worker, safely
from dbopt.logs import configure


async def run(descriptor: int) -> None:
    """The worker's life: wait for Start, serve, obey, drain."""
    link = socket.socket(fileno=descriptor)
    reader, writer = await asyncio.open_unix_connection(sock=link)
    messages = read_to_worker(reader)
    start = await anext(messages, None)
    if not isinstance(start, Start):
        writer.close()
        return
    configure(start.settings.log)
    raise_limit()
    worker = Worker(start, writer)
    # The daemon says when to stop; a Ctrl-C goes to the whole terminal's process group.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, lambda: None)
    await worker.serve(start.listeners)
    gc.collect()
    gc.freeze()
    _give_back_memory()
    await _obey(worker, messages)
    worker.close()
    with contextlib.suppress(ConnectionError, OSError):
        await writer.drain()
        writer.close()


def _give_back_memory() -> None:
    """Return to the system what the heap holds free, where the C library can (glibc).

    Source: malloc_trim(3). Importing modules leaves most of a megabyte behind.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


async def _obey(worker: Worker, messages: AsyncIterator[ToWorker]) -> None:
    async for message in messages:
        if isinstance(message, Reload):
            safely(worker.reload, message.settings)
        elif isinstance(message, Answered):
            safely(worker.guard.answered, message.number, message.verdict)
        elif isinstance(message, Forget):
            safely(worker.guard.forget, message.fingerprints)
        elif isinstance(message, Cancelled):
            worker.cancel_own(message.pid, message.secret)
        elif isinstance(message, Drain):
            await worker.drain(monotonic() + message.timeout)
            return
    await worker.outlive()


def main() -> None:
    """Entry point of the worker process."""
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(run(int(sys.argv[1])))
