"""Numbers as people read them. PURE."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

from dbopt.stats.report.model import Value

UNKNOWN = "-"
"""Not measured, which is not zero."""
_TIMES = ((1, "µs"), (1e3, "ms"), (1e6, "s"), (60e6, "min"), (3600e6, "h"), (86400e6, "d"))
_BYTES = ((1, "B"), (2**10, "KiB"), (2**20, "MiB"), (2**30, "GiB"), (2**40, "TiB"))
_COUNTS = ((1, ""), (1e6, "M"), (1e9, "G"), (1e12, "T"))


def shown(value: Value, unit: str, zone: tzinfo | None = UTC) -> str:
    """A value in its unit; `zone` is of moments, None for the local one."""
    if value is None:
        return UNKNOWN
    if isinstance(value, str):
        return value
    if unit == "at":
        return moment(value, zone)
    return _SHOWN.get(unit, count)(value)


def duration(us: float) -> str:
    """Microseconds in the largest unit that leaves at least 1."""
    return _scaled(us, _TIMES, " ")


def size(count: float) -> str:
    """Bytes in the largest unit of 1024 that leaves at least 1."""
    return _scaled(count, _BYTES, " ")


def count(value: float) -> str:
    """A number: whole below a million, with three digits beyond."""
    if abs(value) < 1e6:
        return f"{value:,.0f}" if value == int(value) or abs(value) >= 100 else number(value)
    return _scaled(value, _COUNTS, " ")


def number(value: float) -> str:
    """A number with as many decimals as its size deserves."""
    if abs(value) >= 1e6:
        return count(value)
    digits = 0 if abs(value) >= 100 or value == 0 else 1 if abs(value) >= 10 else 2
    if 0 < abs(value) < 0.005:
        return "<0.01" if value > 0 else ">-0.01"
    return f"{value:,.{digits}f}"


def share(value: float) -> str:
    """0 to 1 in percent; what is not all is never 100 %, what is not nothing never 0 %."""
    if 0 < value < 0.0005:
        return "<0.1 %"
    if 0.9995 <= value < 1:
        return ">99.9 %"
    return f"{value * 100:.1f} %"


def times(value: float) -> str:
    """A factor."""
    return f"{value:.1f}x" if value < 100 else f"{value:,.0f}x"


def rate(value: float) -> str:
    """A number a second."""
    return f"{number(value)}/s"


def moment(epoch: float, zone: tzinfo | None = UTC) -> str:
    """Epoch seconds as a date and a time, to the minute."""
    return f"{datetime.fromtimestamp(epoch, zone):%Y-%m-%d %H:%M}"


def plain_seconds(seconds: float) -> str:
    """Seconds in words, such as 24 h or 15 min."""
    return duration(seconds * 1e6)


def _scaled(value: float, units: tuple[tuple[float, str], ...], space: str) -> str:
    factor, unit = units[0]
    for larger, name in units[1:]:
        if abs(value) < larger:
            break
        factor, unit = larger, name
    scaled = value / factor
    whole = factor == 1 or abs(scaled) >= 100 or scaled == int(scaled)
    digits = 0 if whole else 1 if abs(scaled) >= 10 else 2
    words = f"{scaled:,.{digits}f}"
    return f"{words}{space}{unit}" if unit else words


_SHOWN = {
    "us": duration,
    "bytes": size,
    "share": share,
    "times": times,
    "rate": rate,
    "number": number,
    "count": count,
}
