"""Text as the store can hold it."""

from __future__ import annotations

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
