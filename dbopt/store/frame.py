"""Frame: what one view said at one time, as differences to the time before. PURE.

The unit of history: collectors make frames, the store keeps them, reports add them up. All
values are whole numbers: times in microseconds (`_us`), moments in epoch seconds (`_at`), sizes in
bytes (`_bytes`), shares in millionths (`_ppm`); None was not measured, which is not zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Key = tuple[int | str, ...]
"""What tells one entity of a view from the others, such as (relid,)."""
Values = tuple[int | None, ...]
"""In the order of Frame.counters + Frame.gauges."""
SAMPLED = frozenset({"waits", "blocking"})
"""Views whose frames have in `seconds` how many samples they are of, which adds up."""


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """What was looked at: a database of a server (host:port), or, with database "", the server."""

    server: str
    database: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """One view of one target in the period of `seconds` that ended `at`; see also SAMPLED.

    `changed`: of each entity of which something is new, what its counters grew by, and its gauges;
    an entity that is not in it stood still. `base`: the counters as the server gave them, and the
    gauges, of entities that are new, or whose counters began again in between; of all of them
    about once an hour, so that what comes later can be told after a restart: add `changed`, then
    put `base` in its place. `gone` are no more. `labels` name the entities that are new here, or
    are named otherwise now; they are JSON's values. `reset`: the view's counters began again.
    `additive`: each sidecar of a fleet reports its own part, so that frames of one time add up;
    of any other view there is one frame for a moment, and the store takes no second one.
    """

    target: Target
    view: str
    at: datetime
    seconds: float
    counters: tuple[str, ...]
    gauges: tuple[str, ...] = ()
    changed: Mapping[Key, Values] = field(default_factory=dict)
    base: Mapping[Key, Values] = field(default_factory=dict)
    gone: tuple[Key, ...] = ()
    labels: Mapping[Key, Mapping[str, Any]] = field(default_factory=dict)
    reset: bool = False
    additive: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """What Values are, in order."""
        return self.counters + self.gauges


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at a moment: a plan change, a reset, a setting that is another.

    `kind` is a word of the program's own; `object` what it happened to; `data` is JSON, and
    holds no literal.
    """

    at: datetime
    target: Target
    kind: str
    object: str
    message: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Standing:
    """The entities of a view as they stand at a time: what frames add up to.

    `values` as the server gave them; `labels` of each entity.
    """

    at: datetime
    counters: tuple[str, ...]
    gauges: tuple[str, ...]
    values: dict[Key, Values] = field(default_factory=dict)
    labels: dict[Key, Mapping[str, Any]] = field(default_factory=dict)

    def follow(self, frame: Frame) -> None:
        """Go on to the end of the next frame, of the same columns."""
        width = len(frame.counters)
        for key, grown in frame.changed.items():
            before = self.values.get(key)
            if before is None:
                continue  # only its base tells where it stands
            sums = (
                None if a is None or b is None else a + b
                for a, b in zip(before[:width], grown[:width], strict=True)
            )
            self.values[key] = (*sums, *grown[width:])
        self.values.update(frame.base)
        for key in frame.gone:
            self.values.pop(key, None)
            self.labels.pop(key, None)
        self.labels.update(frame.labels)
        self.at = frame.at
