"""The supervisor: starts workers, hears them, and starts one anew that has died.

It lives in the control process. A worker that dies soon after its start is started again
ever later, so that one that cannot live does not take the machine's time.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import sys
from typing import Protocol

import structlog

from dbopt.clock import backoff, monotonic
from dbopt.errors import DboptError
from dbopt.gateway import listener
from dbopt.gateway.link import (
    Answered,
    Asked,
    Cancelled,
    Drain,
    Forget,
    Observed,
    Ready,
    Reload,
    Start,
    ToControl,
    ToWorker,
    frame,
    read_to_control,
)
from dbopt.settings import Settings
from dbopt.verdict import Question, Verdict

log = structlog.get_logger("dbopt.daemon")

_LIVED = 30.0
"""A worker that lived this many seconds had a good start: the next may start at once."""
_GRACE = 5.0
"""Seconds over its deadline after which a worker is killed."""


class Observer(Protocol):
    """Who is told what the workers saw."""

    def observed(self, worker: int, message: Observed) -> None:
        """A worker counted something."""

    async def asked(self, worker: int, question: Question) -> Verdict:
        """What the guard says of a statement; a worker waits for it guard.verdict_timeout."""
        ...


class WorkerDied(DboptError):
    """A gateway worker ended before it was ready."""

    exit_code = 2


class Supervisor:
    """The gateway's workers, as the control process sees them."""

    def __init__(self, settings: Settings, observer: Observer) -> None:
        self.settings = settings
        self.restarts = 0
        self._observer = observer
        self._mock_key = secrets.token_bytes(32)
        self._sockets: list[socket.socket] = []
        self._links: dict[int, asyncio.StreamWriter] = {}
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._answering: set[asyncio.Task[None]] = set()
        self._ready = asyncio.Event()
        self._ready_numbers: set[int] = set()
        self._stopping = asyncio.Event()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that the gateway listens on; ("", 0) without TCP."""
        for sock in self._sockets:
            if sock.family != socket.AF_UNIX:
                host, port = sock.getsockname()[:2]
                return host, port
        return "", 0

    @property
    def workers(self) -> dict[int, int]:
        """Process ids by worker number."""
        return {number: process.pid for number, process in self._processes.items()}

    def listen(self) -> None:
        """Open the sockets. Raises ConfigError for an address that is taken."""
        self._sockets = listener.listen(self.settings.gateway)

    async def start(self, timeout: float = 20.0) -> None:
        """Start the workers; returns when all of them take clients. Raises WorkerDied."""
        for number in range(self.settings.gateway.workers):
            self._tasks.append(asyncio.create_task(self._keep_alive(number)))
        ready = asyncio.create_task(self._ready.wait())
        done, _ = await asyncio.wait(
            [ready, *self._tasks], timeout=timeout, return_when=asyncio.FIRST_COMPLETED
        )
        if ready not in done:
            ready.cancel()
            raise WorkerDied(
                "A gateway worker did not become ready.", hint="Its log above says why."
            )

    async def _keep_alive(self, number: int) -> None:
        delays = backoff()
        while True:
            started = monotonic()
            code = await self._survive(number)
            if self._stopping.is_set():
                return
            if monotonic() - started > _LIVED:
                delays = backoff()
            delay = next(delays)
            self.restarts += 1
            log.error(
                "gateway worker died; starting another", worker=number, exit_code=code,
                delay_s=round(delay, 2),
            )  # fmt: skip
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay)
                return

    async def _survive(self, number: int) -> int | None:
        """Its exit code; None where it could not be started, or said what cannot be read.

        Such a worker is replaced as one that died: else nobody would start it again.
        """
        try:
            return await self._run(number)
        except Exception:
            log.exception("gateway worker failed", worker=number)
            return None

    async def _run(self, number: int) -> int:
        """One life of one worker; gives its exit code (negative: the signal that ended it)."""
        ours, theirs = socket.socketpair()
        listeners = [sock.fileno() for sock in self._sockets]
        try:
            process = await self._launch(theirs.fileno(), listeners)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self._processes[number] = process
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        self._links[number] = writer
        writer.write(frame(Start(number, self.settings, listeners, self._mock_key)))
        if self._stopping.is_set():  # it was too late for the Drain that the others got
            writer.write(frame(Drain(self.settings.gateway.shutdown_timeout)))
        try:
            async for message in read_to_control(reader):
                self._heard(number, message)
            return await process.wait()
        finally:
            self._ready_numbers.discard(number)
            self._processes.pop(number, None)
            self._links.pop(number, None)
            writer.close()
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()

    async def _launch(self, link: int, listeners: list[int]) -> asyncio.subprocess.Process:
        """A worker's process, which inherits its end of the link and the listening sockets."""
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "dbopt.gateway", str(link),
            pass_fds=(link, *listeners), stdin=asyncio.subprocess.DEVNULL,
        )  # fmt: skip

    def _heard(self, number: int, message: ToControl) -> None:
        if isinstance(message, Observed):
            self._observe(number, message)
        elif isinstance(message, Asked):
            task = asyncio.create_task(self._answer(number, message))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
        elif isinstance(message, Cancelled):
            self._send(message, but=number)
        elif isinstance(message, Ready):
            self._ready_numbers.add(number)
            if len(self._ready_numbers) == self.settings.gateway.workers:
                self._ready.set()

    async def _answer(self, number: int, asked: Asked) -> None:
        """A question that fails stays open: the worker does by itself what guard.fail says."""
        link = self._links.get(number)
        try:
            verdict = await self._observer.asked(number, asked.question)
        except Exception:
            log.exception("the guard has no verdict", worker=number)
            return
        if link is not None and not link.is_closing():
            link.write(frame(Answered(asked.number, verdict)))

    def _observe(self, number: int, message: Observed) -> None:
        """A failure to count must not end the worker, and with it its clients."""
        try:
            self._observer.observed(number, message)
        except Exception:
            log.exception("what a worker has counted is lost", worker=number)

    def reload(self, settings: Settings) -> None:
        """Give the workers new settings."""
        self.settings = settings
        self._send(Reload(settings))

    def forget(self, fingerprints: list[int]) -> None:
        """Let the workers ask anew about these fingerprints; about all where there are none."""
        self._send(Forget(fingerprints))

    async def drain(self) -> None:
        """Let the workers end their clients' transactions, and end them."""
        self._stopping.set()
        timeout = self.settings.gateway.shutdown_timeout
        self._send(Drain(timeout))
        listener.close(self._sockets)
        _, late = (
            await asyncio.wait(self._tasks, timeout=timeout + _GRACE) if self._tasks else (0, ())
        )
        for task in (*late, *self._answering):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._answering, return_exceptions=True)

    def _send(self, message: ToWorker, but: int = -1) -> None:
        for number, link in self._links.items():
            if number != but and not link.is_closing():
                link.write(frame(message))
