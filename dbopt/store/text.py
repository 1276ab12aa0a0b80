"""Text as the store can hold it."""

from __future__ import annotations

MAX_TEXT = 10_000
"""Characters kept of one statement."""


def storable(text: str, limit: int = MAX_TEXT) -> str:
    """The text without what PostgreSQL refuses (NUL, lone surrogates), at most `limit` long.

    A client may send any bytes; one of them must not cost a whole batch.
    """
    clean = text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"
