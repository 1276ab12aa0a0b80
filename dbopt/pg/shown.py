"""Text from a server as a terminal may be given it."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with each control character as a space.

    A name or a statement may hold any: an escape sequence in it would command the terminal of
    whoever reads a report.
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)
