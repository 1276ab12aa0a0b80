r"""What psql reads of a file and the server does not: `\connect`, and the data of COPY.

Source: PostgreSQL 18 documentation, psql, Meta-Commands; COPY, Text Format (`\.` ends the data).
"""

from __future__ import annotations

import re
from collections import deque
from typing import NamedTuple

_copies = re.compile(r"\\?copy\b[^;]*\bfrom\s+p?stdin\b[^;]*(?:;|$)", re.IGNORECASE).fullmatch
_LONGEST_COPY = 10_000
"""Characters that a COPY statement may have to be taken for one."""
_sends = re.compile(
    r"\\(?:gx?|gexec|gset|gdesc|crosstabview|watch|bind)(?![a-z])[^'\"$;\\]*$"
).search
r"""What sends a statement as `;` does: its line ends in `\gexec`, with arguments or without."""
_includes = re.compile(r"\\(?:i|ir|include|include_relative)[ \t]").match
"""What runs the statements of another file."""
_GEXEC = r"\gexec"


class Command(NamedTuple):
    r"""A command of psql's that runs what the text does not show: `\i file`, `\gexec`."""

    text: str
    start: int


def read_psql(text: str) -> tuple[str, deque[Command]]:
    r"""The same text with blanks for psql's own lines and for the rows behind COPY ... FROM stdin.

    Every offset stays what it was. A line that starts with a backslash is psql's where a statement
    can start: at the top, and behind a `;`, a comment, or another such line. `\gexec` and the like
    become the `;` that they stand for. Both branches of `\if` are left. The second value is the
    commands that run more, in order.
    """
    told: deque[Command] = deque()
    if "\\" not in text:
        return text, told
    lines = text.splitlines(keepends=True)
    blanked: list[str] = []
    offset = 0
    last = max((at for at, line in enumerate(lines) if line.strip() == "\\."), default=-1)
    copying, fresh, started = False, True, ""
    for at, line in enumerate(lines):
        written = line.strip()
        offset += len(line)
        if copying:
            copying = written != "\\."
            blanked.append(_blank(line))
            continue
        psql = fresh and written.startswith("\\")
        started = _started(started if not fresh else "", written)
        kept = _blank(line) if psql else _sent(line)
        runs = written * bool(_includes(written)) if psql else _GEXEC * (kept != line)
        if runs and runs in line:
            told.append(Command(runs, offset - len(line) + line.index(runs)))
        blanked.append(kept)
        if written:
            fresh = psql or kept.rstrip().endswith(";") or written.startswith("--")
        copying = at < last and (psql or fresh) and _copies(started) is not None
    return "".join(blanked), told


def _started(before: str, line: str) -> str:
    """The COPY statement as far as it goes; "" for any other, and for one that is too long."""
    if not before and line.lower().removeprefix("\\")[:4] != "copy":
        return ""
    whole = f"{before} {line}".strip()
    return whole if len(whole) < _LONGEST_COPY else ""


def _sent(line: str) -> str:
    r"""The line with `;` for a `\gexec` at its end."""
    found = _sends(line) if "\\g" in line or "\\w" in line or "\\c" in line else None
    return line if found is None else f"{line[: found.start()]};{_blank(found.group()[1:])}"


def _blank(line: str) -> str:
    ending = line[len(line.rstrip("\r\n")) :]
    return " " * (len(line) - len(ending)) + ending
