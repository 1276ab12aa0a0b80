"""The writer: everything that goes to the store goes through it, in order, exactly once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dbopt.clock import Clock, wall
from dbopt.metrics import Sample
from dbopt.pg.pool import Pool
from dbopt.store.frame import Event, Frame
from dbopt.store.plans import PlanRecord
from dbopt.store.slow import SlowEntry


@dataclass(frozen=True, slots=True)
class Batch:
    """What shall be stored together. `texts` are redacted statements by fingerprint."""

    frames: tuple[Frame, ...] = ()
    texts: Mapping[int, str] = field(default_factory=dict)
    slow: tuple[SlowEntry, ...] = ()
    plans: tuple[PlanRecord, ...] = ()
    events: tuple[Event, ...] = ()


class Writer:
    """Holds batches until they are in the store.

    `spool_dir` and `spool_size` (MB) are settings.Store's. Raises ConfigError where the directory
    cannot be used, or another dbopt uses it. `error` says why the store takes nothing, "" while
    it does; `missing` whether that is since its schema is not there.
    """

    error: str
    missing: bool

    def __init__(
        self, pool: Pool, spool_dir: str | Path = "", spool_size: int = 64, clock: Clock = wall
    ) -> None:
        raise NotImplementedError

    def put(self, batch: Batch) -> None:
        """Take a batch. Never waits and never raises; what is too much is dropped and counted."""
        raise NotImplementedError

    async def flush(self, *, final: bool = False) -> bool:
        """Write what is held, in order; tells whether all of it is in the store now.

        Raises nothing but cancellation: `error` says what failed. While the store is away it is
        tried ever less often, up to every 30 s; `final` tries at once.
        """
        raise NotImplementedError

    async def close(self) -> None:
        """Flush a last time; what the store does not take stays in the spool, if there is one."""
        raise NotImplementedError

    def samples(self) -> Iterator[Sample]:
        """See metrics.Source."""
        raise NotImplementedError
