"""Times as people give them: 1h, yesterday, 2026-03-01T09:00. PURE."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta

from dbopt.errors import UsageError

_AGO = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)\s*(s|m|min|h|d|w)(?:\s+ago)?")
_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_HINT = "Give 1h, 90m, 2d, now, today, yesterday, 09:30, 2026-03-01 or 2026-03-01T09:30."
MOST = timedelta(days=400)
"""The longest period of a report."""


def parse_time(words: str, now: datetime) -> datetime:
    """A moment with a zone: `now`'s where none is given. Raises UsageError for what is none.

    "1h" is an hour before `now`; "today" and "yesterday" are the midnights they begin with.
    """
    words = words.strip().lower()
    ago = _AGO.fullmatch(words)
    try:
        if ago is not None:
            return now - timedelta(seconds=float(ago[1]) * _UNITS[ago[2]])
        midnight = datetime.combine(now.date(), time(), now.tzinfo)
        named = {"now": now, "today": midnight, "yesterday": midnight - timedelta(days=1)}
        if words in named:
            return named[words]
        if re.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?", words):
            return datetime.combine(
                now.date(),
                time.fromisoformat(words.zfill(5 + 3 * (words.count(":") - 1))),
                now.tzinfo,
            )
        given = datetime.fromisoformat(words.upper())
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{words!r} is no time.", hint=_HINT) from error
    return given if given.tzinfo else given.replace(tzinfo=now.tzinfo)


def period_of(since: str | None, until: str | None, now: datetime) -> tuple[datetime, datetime]:
    """The ends of a period: the last hour where neither is given, all of yesterday for "yesterday".

    Raises UsageError where the start is not before the end, or the period is longer than MOST.
    """
    end = parse_time(until, now) if until else None
    if end is None:
        whole_day = (since or "").strip().lower() == "yesterday"
        end = parse_time("today", now) if whole_day else now
    start = parse_time(since, now) if since else end - timedelta(hours=1)
    if start >= end:
        raise UsageError(
            f"The period begins at {start:%Y-%m-%d %H:%M} and ends before that, "
            f"at {end:%Y-%m-%d %H:%M}.",
            hint="Give --from a time before --to.",
        )
    if end - start > MOST:
        raise UsageError("The period is longer than 400 days.", hint="Give a later --from.")
    return start, end
