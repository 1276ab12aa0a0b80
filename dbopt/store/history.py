"""History in the store: frames are written in one transaction, and read back as they were."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dbopt.pg.connect import AsyncConnection
from dbopt.store.frame import Frame, Key, Standing, Target, Values


@dataclass(slots=True)
class Total:
    """What the frames of one view and target add up to in a period.

    `since` and `until` are the time that the frames cover, `seconds` together. `values` are of
    each entity: its counters' growth, None where nothing was measured, and its latest gauges.
    `labels` of each, as they are now. `resets` is how many frames say that counters began again.
    """

    target: Target
    view: str
    since: datetime
    until: datetime
    counters: tuple[str, ...]
    gauges: tuple[str, ...]
    seconds: float = 0.0
    frames: int = 0
    resets: int = 0
    values: dict[Key, Values] = field(default_factory=dict)
    labels: dict[Key, Mapping[str, Any]] = field(default_factory=dict)


def read(
    conn: AsyncConnection,
    target: Target,
    views: Collection[str] = (),
    since: datetime | None = None,
    until: datetime | None = None,
) -> AsyncIterator[Frame]:
    """Frames with `since` < at <= `until`, of some `views` (none: all), in order of time.

    A day may be a million rows: they come as they are read, `async for frame in read(...)`. The
    first frame that has an entity brings its labels. Raises StoreMissing without the schema, else
    ServerLost or QueryFailed.
    """
    raise NotImplementedError


async def total(
    conn: AsyncConnection, target: Target, view: str, since: datetime, until: datetime
) -> Total | None:
    """What a view's frames with `since` < at <= `until` add up to; None where there are none."""
    raise NotImplementedError


async def resume(conn: AsyncConnection, target: Target, view: str) -> Standing | None:
    """Where the history of a view ends: what its next frame is compared with; None without one."""
    raise NotImplementedError


async def targets(conn: AsyncConnection) -> list[Target]:
    """Whose history there is."""
    raise NotImplementedError


async def times(
    conn: AsyncConnection,
    target: Target,
    view: str,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[datetime]:
    """When the frames of a view ended, `since` < at <= `until`, in order."""
    raise NotImplementedError


async def texts(conn: AsyncConnection, fingerprints: Collection[int]) -> dict[int, str]:
    """Redacted statements by fingerprint, those that are known."""
    raise NotImplementedError


class History:
    """Writes frames; one a writer, since it remembers what is in the store already."""

    async def write(
        self, conn: AsyncConnection, frames: Sequence[Frame], texts: Mapping[int, str]
    ) -> int:
        """Write frames, in the caller's transaction; gives how many were new."""
        raise NotImplementedError
