"""Python source for revisions: calls and comments as black and ruff would leave them."""

from __future__ import annotations

import re
import textwrap

WIDTH = 88
"""Columns: what black and ruff allow by default."""
_INDENT = 8
"""Spaces before the statements of a revision's autocommit block, which are added later."""
_STEP = 4
"""Spaces more before a call's arguments."""


def comment(text: str) -> list[str]:
    """Lines of comment."""
    lines = [
        piece for line in text.splitlines() for piece in textwrap.wrap(line, WIDTH - _INDENT - 2)
    ]
    return [f"# {line}" for line in lines]


def call(function: str, *arguments: str, **keywords: str) -> str:
    """A call with texts as its arguments, on one line where it fits."""
    named = [f"{name}={literal(one)}" for name, one in keywords.items()]
    together = ", ".join([*map(literal, arguments), *named])
    if len(function) + len(together) + 2 + _INDENT <= WIDTH:
        return f"{function}({together})"
    if _INDENT + _STEP + len(together) <= WIDTH:
        return f"{function}(\n    {together}\n)"
    if len(arguments) == 1 and not named:
        return f"{function}(\n    {_wrapped(arguments[0])}\n)"
    parts = [*map(_wrapped, arguments), *named]
    return f"{function}(\n" + "".join(f"    {part},\n" for part in parts) + ")"


def literal(text: str) -> str:
    """A text as Python writes it, in the quotes that need fewer escapes, else in double ones."""
    # Python puts what has both quotes in single ones.
    inside = repr(f'{text}"')[1:-2].replace("\\'", "'")
    if inside.count('"') > inside.count("'"):
        return "'" + inside.replace("'", "\\'") + "'"
    return '"' + inside.replace('"', '\\"') + '"'


def _wrapped(text: str) -> str:
    """Pieces side by side, which Python joins: a line break within would change the text."""
    room = WIDTH - _INDENT - _STEP
    lines = [""]
    for word in re.split(r"(?<= )", text):
        if lines[-1] and len(literal(lines[-1] + word)) > room:
            lines.append("")
        lines[-1] += word
    return "\n    ".join(map(literal, lines))
