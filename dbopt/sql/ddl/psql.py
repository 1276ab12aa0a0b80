r"""What psql reads of a file and the server does not: `\connect`, and the data of COPY.

Source: PostgreSQL 18 documentation, psql, Meta-Commands; COPY, Text Format (`\.` ends the data).
"""

from __future__ import annotations

import re

_copies = re.compile(r"\\?copy\b[^;]*\bfrom\s+p?stdin\b[^;]*(?:;|$)", re.IGNORECASE).fullmatch
_LONGEST_COPY = 10_000
"""Characters that a COPY statement may have to be taken for one."""
_sends = re.compile(
    r"\\(?:gx?|gexec|gset|gdesc|crosstabview|watch|bind)(?![a-z])[^'\"$;\\]*$"
).search
r"""What sends a statement as `;` does: its line ends in `\gexec`, with arguments or without."""


def without_psql(text: str) -> str:
    r"""The same text with blanks for psql's own lines and for the rows behind COPY ... FROM stdin.

    Every offset stays what it was. A line that starts with a backslash is psql's where a statement
    can start: at the top, and behind a `;`, a comment, or another such line. `\gexec` and the like
    become the `;` that they stand for.
    """
    if "\\" not in text:
        return text
    lines = text.splitlines(keepends=True)
    blanked: list[str] = []
    last = max((at for at, line in enumerate(lines) if line.strip() == "\\."), default=-1)
    copying, fresh, started = False, True, ""
    for at, line in enumerate(lines):
        written = line.strip()
        if copying:
            copying = written != "\\."
            blanked.append(_blank(line))
            continue
        psql = fresh and written.startswith("\\")
        started = _started(started if not fresh else "", written)
        kept = _blank(line) if psql else _sent(line)
        blanked.append(kept)
        if written:
            fresh = psql or kept.rstrip().endswith(";") or written.startswith("--")
        copying = at < last and (psql or fresh) and _copies(started) is not None
    return "".join(blanked)


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
