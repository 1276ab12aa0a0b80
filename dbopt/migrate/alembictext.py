"""Python source for revisions: calls whose long texts are cut as formatters would leave them."""

from __future__ import annotations

import re

WIDTH = 88
"""Columns: what black and ruff allow by default."""
_INDENT = 4
"""Spaces before a revision's statements, which Alembic adds."""


def call(function: str, *arguments: str, **keywords: str) -> str:
    """A call with texts as its arguments, on one line where it fits."""
    texts = [literal(one) for one in arguments]
    named = [f"{name}={literal(one)}" for name, one in keywords.items()]
    line = f"{function}({', '.join([*texts, *named])})"
    if len(line) + _INDENT <= WIDTH:
        return line
    parts = [_wrapped(one) for one in arguments] + named
    inside = "".join(f"    {part},\n" for part in parts)
    if len(parts) == 1 and "\n" in parts[0]:
        inside = f"    {parts[0]}\n"
    return f"{function}(\n{inside})"


def literal(text: str) -> str:
    """A text as Python writes it, in double quotes where that needs no escape."""
    written = repr(text)
    if written.startswith("'") and '"' not in written:
        return '"' + written[1:-1].replace("\\'", "'") + '"'
    return written


def _wrapped(text: str) -> str:
    """Pieces side by side, which Python joins: a line break within would change the text."""
    room = WIDTH - _INDENT * 2 - 3
    lines = [""]
    for word in re.split(r"(?<= )", text):
        if lines[-1] and len(literal(lines[-1] + word)) > room:
            lines.append("")
        lines[-1] += word
    return "\n    ".join(map(literal, lines))
