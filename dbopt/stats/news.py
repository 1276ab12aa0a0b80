"""What in a frame is news: settings that are others, counters that began again. PURE."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dbopt.store.frame import Event, Frame, Key

SETTINGS = "settings"


def news(frame: Frame, named: Mapping[Key, Mapping[str, Any]]) -> Iterator[Event]:
    """The events of a frame; `named` are the entities' labels before it."""
    if frame.reset:
        yield Event(
            frame.at, frame.target, "reset", frame.view,
            f"The counters of {frame.view} began again: they were reset, or the server crashed.",
        )  # fmt: skip
    if frame.view == SETTINGS and frame.seconds:
        yield from _settings(frame, named)


def _settings(frame: Frame, named: Mapping[Key, Mapping[str, Any]]) -> Iterator[Event]:
    """Settings that have another value, or are no more as the server has them by default."""
    for key, labels in frame.labels.items():
        before = named.get(key, {}).get("value")
        value = labels.get("value")
        if before != value:
            yield _changed(frame, key, before, value)
    for key in frame.gone:
        if key in named:
            yield _changed(frame, key, named[key].get("value"), None)


def _changed(frame: Frame, key: Key, before: Any, value: Any) -> Event:
    name = str(key[0])
    words = f"{name} was {_shown(before)}, and is {_shown(value)}."
    return Event(
        frame.at, frame.target, "setting-changed", name, words, {"before": before, "after": value}
    )


def _shown(value: Any) -> str:
    return "the default" if value is None else repr(value) if value == "" else str(value)
