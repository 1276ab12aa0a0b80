"""PostgreSQL's bigint is signed; a fingerprint is 64 bits, unsigned. Bit patterns are kept."""

from __future__ import annotations

_HALF = 1 << 63
_WHOLE = 1 << 64


def signed(value: int) -> int:
    """An unsigned 64-bit number as a bigint. Raises ValueError when it has more bits."""
    if not 0 <= value < _WHOLE:
        raise ValueError("A fingerprint is an unsigned 64-bit number.")
    return value - _WHOLE if value >= _HALF else value


def unsigned(value: int) -> int:
    """A bigint as the unsigned 64-bit number that it stands for."""
    return value % _WHOLE
