"""The soak's clients: a process of its own, so that they cost the gateway nothing.

`python -m tests.faults.soak_clients` reads Options as JSON, runs until so many transactions are
made or the time is over, and prints a Report as JSON.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from time import monotonic
from typing import Any

import msgspec
import uvloop

from dbopt.wire import encode
from tests.faults.soak_wire import COLUMNS, Fault, Lost, Wire, Wrong, simple, tag
from tests.faults.soak_work import (
    GUARDED,
    STATEFUL,
    WITHOUT_TRANSACTIONS,
    WORK,
    Me,
    Unit,
    cleanup,
)

PATIENCE = 45.0
"""Seconds without an answer after which a reply counts as lost; queue_timeout is far below."""


class Options(msgspec.Struct):
    """What to do. `stateful` names units of STATEFUL and GUARDED; a connection makes from `least`
    to `most` units.
    """

    host: str
    port: int
    user: str
    database: str
    clients: int
    transactions: int
    seconds: float
    prefix: str = "tag"
    seed: int = 0
    stateful: list[str] = []
    transactions_open: bool = True
    least: int = 20
    most: int = 400
    cut_ratio: float = 0.003
    cancel_ratio: float = 0.01


class Report(msgspec.Struct):
    """What was done. `acked` and `unsure` are journal entries by client."""

    transactions: int = 0
    seconds: float = 0.0
    units: dict[str, int] = {}
    faults: dict[str, int] = {}
    lost: dict[str, int] = {}
    counts: dict[str, int] = {}
    wrong: list[str] = []
    acked: dict[str, list[int]] = {}
    unsure: dict[str, list[int]] = {}


class Soak:
    """All clients of this process."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.until = monotonic() + options.seconds
        self.transactions = 0
        self.units: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        work = WORK if options.transactions_open else WITHOUT_TRANSACTIONS
        self.work: list[Unit] = [*work, *((STATEFUL | GUARDED)[name] for name in options.stateful)]
        self.open: dict[str, Wire] = {}

    @property
    def running(self) -> bool:
        enough = self.transactions >= self.options.transactions
        return not (enough or self.wrong or monotonic() > self.until)

    async def client(self, me: Me) -> None:
        while self.running:
            me.anew()
            try:
                wire = await self._connect(me)
                await self._session(me, wire)
            except Fault as fault:
                self.faults[f"login {fault.sqlstate}"] += 1
                await asyncio.sleep(0.05)
            except Lost as lost:
                self.lost[lost.sqlstate or "within a row"] += 1
            except Wrong as wrong:
                self.wrong.append(f"{me.tag}: {wrong}")
            finally:
                if gone := self.open.pop(me.tag, None):
                    gone.transport.abort()

    async def _connect(self, me: Me) -> Wire:
        options, loop = self.options, asyncio.get_running_loop()
        _, wire = await loop.create_connection(Wire, options.host, options.port)
        self.open[me.tag] = wire
        await wire.login(
            user=options.user, database=options.database, application_name=me.tag, TimeZone="UTC"
        )
        self.counts["connections"] += 1
        return wire

    async def _session(self, me: Me, wire: Wire) -> None:
        """Work until the connection is lost, cut, or has served long enough."""
        for _ in range(me.chance.randint(self.options.least, self.options.most)):
            if not self.running:
                break
            unit = me.chance.choice(self.work)
            if me.chance.random() < self.options.cut_ratio:
                self._cut(me, wire, unit)
                return
            if me.chance.random() < self.options.cancel_ratio:
                await self._cancelled(me, wire)
            await self._unit(me, wire, unit)
        wire.write(encode.terminate())

    async def _unit(self, me: Me, wire: Wire, unit: Unit) -> None:
        try:
            for batches in unit(me):
                await wire.ask(*batches)
                self.transactions += sum(batch.status == "I" for batch in batches)
            self.units[unit.__name__] += 1
        except Fault as fault:
            self.faults[fault.sqlstate] += 1
            await self._recover(me, wire, unit, fault.status)

    async def _recover(self, me: Me, wire: Wire, unit: Unit, status: str) -> None:
        """End the transaction that a fault has left, and the rest. A cancel may hit this too."""
        due = cleanup(me, unit)
        while due or status in ("T", "E"):
            try:
                if status in ("T", "E"):
                    await wire.ask(simple("ROLLBACK", tag("ROLLBACK")))
                    status = "I"
                for batch in due:
                    await wire.ask(batch)
                due = []
            except Fault as again:
                status = again.status

    def _cut(self, me: Me, wire: Wire, unit: Unit) -> None:
        """Leave in the middle of what is sent, or with the answer unread."""
        batches = next(unit(me))
        data = b"".join(batch.send for batch in batches)
        wire.write(data[: me.chance.randint(1, len(data))])
        self.counts["cuts"] += 1

    async def _cancelled(self, me: Me, wire: Wire) -> None:
        """A long statement is cancelled: running or queued, and perhaps what comes after it."""
        over = asyncio.Event()
        canceller = asyncio.create_task(self._insist(wire, over))
        try:
            await wire.ask(simple("SELECT pg_sleep(60)", COLUMNS, sqlstate="57014"))
        except Fault as fault:  # 57014 too, if the cancel came before the RowDescription
            self.faults[fault.sqlstate] += 1
        finally:
            over.set()
            await canceller
        self.counts["cancelled sleeps"] += 1

    async def _insist(self, wire: Wire, over: asyncio.Event) -> None:
        """Cancel until it ends: one may come too early. Each is seen to its end."""
        while not over.is_set():
            await self._cancel(wire)
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), 0.03)

    async def _cancel(self, wire: Wire) -> None:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection(self.options.host, self.options.port)
            writer.write(encode.cancel_request(wire.pid, wire.secret))
            await reader.read()
            writer.close()
            self.counts["cancels"] += 1

    async def stray_cancels(self, chance: random.Random) -> None:
        """Cancels at random, at whatever runs."""
        while self.running:
            await asyncio.sleep(0.05)
            if wires := [wire for wire in self.open.values() if wire.secret]:
                await self._cancel(chance.choice(wires))

    async def watch(self) -> None:
        """No client waits for ever."""
        while self.running:
            await asyncio.sleep(0.5)
            for name, wire in self.open.items():
                if wire.asked_at and monotonic() - wire.asked_at > PATIENCE:
                    self.wrong.append(f"{name}: no reply came; so far {wire.found[:3]}")

    async def run(self) -> Report:
        started = monotonic()
        seeds = range(self.options.clients)
        people = [
            Me(f"{self.options.prefix}-{n}", random.Random(f"{self.options.seed}:{n}"))  # noqa: S311
            for n in seeds
        ]
        chance = random.Random(self.options.seed)  # noqa: S311 - no secret
        others: list[Coroutine[Any, Any, None]] = [
            self.stray_cancels(chance),
            self.watch(),
        ]
        tasks = [asyncio.create_task(work) for work in [*map(self.client, people), *others]]
        done, _ = await asyncio.wait(tasks, timeout=self.options.seconds)
        late: set[asyncio.Task[None]] = set(tasks) - done
        if late:
            ended, late = await asyncio.wait(late, timeout=PATIENCE if not self.wrong else 5)
            done |= ended
        for task in late:
            task.cancel()
        if late:
            waiting = [f"{n} after {w.sent[:99]!r}: {w.found}" for n, w in self.open.items()]
            self.wrong.append(f"{len(late)} clients never ended: {waiting}")
        self.wrong += [repr(error) for task in done if (error := task.exception())]
        return Report(
            self.transactions, monotonic() - started, self.units, self.faults, self.lost,
            self.counts, self.wrong, {me.tag: me.acked for me in people},
            {me.tag: me.unsure for me in people},
        )  # fmt: skip


def main() -> None:
    """Entry point."""
    options = msgspec.json.decode(sys.argv[1], type=Options)
    report = uvloop.run(Soak(options).run())
    sys.stdout.buffer.write(msgspec.json.encode(report))


if __name__ == "__main__":
    main()
