"""Where a TOML file says what: tomllib gives values and no lines."""

from __future__ import annotations

import re

_PART = re.compile(r"""\s*(?:([A-Za-z0-9_-]+)|"((?:[^"\\]|\\.)*)"|'([^']*)')\s*""")
_HEADER = re.compile(r"\s*\[\[?")
_DEEPEST = 4
"""Names of a key that are looked at: no setting has more, and a key may have a million."""


class Places:
    """The first line of each table, of each key, and of what they are in."""

    def __init__(self, text: str) -> None:
        self._lines: dict[tuple[str, ...], int] = {}
        table: tuple[str, ...] = ()
        for number, line in enumerate(text.splitlines(), 1):
            header = _HEADER.match(line)
            if header is not None:
                path = table = _key(line, header.end(), "]")
            else:
                key = _key(line, 0, "=")
                path = (*table, *key) if key else ()
            for length in range(1, min(len(path), _DEEPEST) + 1):
                self._lines.setdefault(path[:length], number)

    def line(self, *path: str) -> int:
        """The line where that is written, else where what it is in begins; 1 without either."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)


def _key(line: str, start: int, end: str) -> tuple[str, ...]:
    """The names of a dotted key that `end` follows; none where the line is something else."""
    names: list[str] = []
    while match := _PART.match(line, start):
        if len(names) < _DEEPEST:
            names.append(match[1] or match[2] or match[3] or "")
        start = match.end()
        if line[start : start + 1] == end:
            return tuple(names)
        if line[start : start + 1] != ".":
            break
        start += 1
    return ()
