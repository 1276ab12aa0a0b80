from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from dbopt.errors import UsageError
from dbopt.stats.report.times import parse_time, period_of

ZONE = timezone(timedelta(hours=2))
NOW = datetime(2026, 3, 5, 14, 30, tzinfo=ZONE)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("1h", datetime(2026, 3, 5, 13, 30, tzinfo=ZONE)),
        ("90m", datetime(2026, 3, 5, 13, 0, tzinfo=ZONE)),
        ("1.5h ago", datetime(2026, 3, 5, 13, 0, tzinfo=ZONE)),
        ("2d", datetime(2026, 3, 3, 14, 30, tzinfo=ZONE)),
        ("now", NOW),
        ("today", datetime(2026, 3, 5, tzinfo=ZONE)),
        ("Yesterday", datetime(2026, 3, 4, tzinfo=ZONE)),
        ("9:05", datetime(2026, 3, 5, 9, 5, tzinfo=ZONE)),
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=ZONE)),
        ("2026-03-01T09:30", datetime(2026, 3, 1, 9, 30, tzinfo=ZONE)),
        ("2026-03-01T09:30Z", datetime(2026, 3, 1, 9, 30, tzinfo=UTC)),
    ],
)
def test_times(words: str, expected: datetime) -> None:
    assert expected == parse_time(words, NOW)


@pytest.mark.parametrize("words", ["", "soon", "25:00", "-1h", "1y", "2026-13-01", "9" * 400 + "h"])
def test_what_is_no_time(words: str) -> None:
    with pytest.raises(UsageError, match="is no time"):
        parse_time(words, NOW)


def test_a_period_that_the_calendar_has_not() -> None:
    with pytest.raises(UsageError):
        parse_time("999999w", NOW)


def test_periods() -> None:
    midnight = datetime(2026, 3, 5, tzinfo=ZONE)
    assert (NOW - timedelta(hours=1), NOW) == period_of(None, None, NOW)
    assert (midnight - timedelta(days=1), midnight) == period_of("yesterday", None, NOW)
    assert (midnight, NOW) == period_of("today", None, NOW)
    with pytest.raises(UsageError, match="ends before that"):
        period_of("1h", "2h", NOW)
    with pytest.raises(UsageError, match="400 days"):
        period_of("2020-01-01", None, NOW)
