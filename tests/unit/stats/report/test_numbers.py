from __future__ import annotations

import pytest

from dbopt.stats.report.numbers import shown


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (None, "us", "-"),
        (0, "us", "0 µs"),
        (999, "us", "999 µs"),
        (1500, "us", "1.50 ms"),
        (12_300_000, "us", "12.3 s"),
        (5_400_000_000, "us", "1.50 h"),
        (86400e6, "us", "1 d"),
        (0, "bytes", "0 B"),
        (1536, "bytes", "1.50 KiB"),
        (3 << 40, "bytes", "3 TiB"),
        (999_999, "count", "999,999"),
        (1_234_567, "count", "1.23 M"),
        (12, "count", "12"),
        (0.001, "number", "<0.01"),
        (0.5, "number", "0.50"),
        (12.34, "number", "12.3"),
        (0, "share", "0.0 %"),
        (0.00001, "share", "<0.1 %"),
        (0.9999, "share", ">99.9 %"),
        (1, "share", "100.0 %"),
        (1.25, "times", "1.2x"),
        (2.5, "rate", "2.50/s"),
        (0, "at", "1970-01-01 00:00"),
        ("a name", "text", "a name"),
    ],
)
def test_shown(value: float | str | None, unit: str, words: str) -> None:
    assert words == shown(value, unit)
