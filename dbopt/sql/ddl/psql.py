r"""What psql reads of a file and the server does not: `\connect`, and the data of COPY.

Source: PostgreSQL 18 documentation, psql, Meta-Commands; COPY, Text Format (`\.` ends the data).
"""

from __future__ import annotations

_COPIES = ("from stdin;", "from stdin with (format csv);")


def without_psql(text: str) -> str:
    r"""The same text with blanks for psql's own lines and for the rows behind COPY ... FROM stdin.

    Every offset stays what it was. A line that starts with a backslash is psql's where a statement
    can start: at the top, and behind a `;`, a comment, or another such line.
    """
    if "\\" not in text:
        return text
    lines = text.splitlines(keepends=True)
    blanked: list[str] = []
    last = max((at for at, line in enumerate(lines) if line.strip() == "\\."), default=-1)
    copying, fresh = False, True
    for at, line in enumerate(lines):
        written = line.strip()
        if copying:
            copying = written != "\\."
            blanked.append(_blank(line))
            continue
        psql = fresh and written.startswith("\\")
        blanked.append(_blank(line) if psql else line)
        if written:
            fresh = psql or written.endswith(";") or written.startswith("--")
        copying = at < last and written.lower().endswith(_COPIES)
    return "".join(blanked)


def _blank(line: str) -> str:
    ending = line[len(line.rstrip("\r\n")) :]
    return " " * (len(line) - len(ending)) + ending
