"""Text as the store can hold it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MAX_TEXT = 10_000
"""Characters kept of one statement."""
_CUT = "..."


def storable(text: str, limit: int = MAX_TEXT, *, unicode: bool = True) -> str:
    """The text without what PostgreSQL refuses (NUL, lone surrogates), at most `limit` long.

    A client may send any bytes; one of them must not cost a whole batch. Without `unicode` what
    is not ASCII is written as an escape, since the database's encoding may not have it.
    """
    clean = text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
    if not unicode:
        clean = clean.encode("ascii", "backslashreplace").decode("ascii")
    return clean if len(clean) <= limit else clean[: limit - len(_CUT)] + _CUT


def plain_json(value: Any, *, unicode: bool = True) -> Any:
    """The value as JSON can hold it and jsonb takes it: strings storable, others by str()."""
    if isinstance(value, str):
        return storable(value, unicode=unicode)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        # JSON has no NaN and no infinity.
        return value if value - value == 0 else str(value)
    if isinstance(value, Mapping):
        return {
            storable(str(k), unicode=unicode): plain_json(v, unicode=unicode)
            for k, v in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [plain_json(item, unicode=unicode) for item in value]
    return storable(str(value), unicode=unicode)
