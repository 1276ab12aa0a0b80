"""The SQL that dbopt itself runs: named statements in `queries/*.sql`.

A file holds entries of the form

    -- name: seq_scans (min_version=13)
    -- One line on what it returns, its units and its source.
    SELECT …

`min_version` (a server's major version) may be left out; of several entries of one name the
one with the highest min_version that the server reaches is taken.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import LiteralString

_ENTRY = re.compile(r"^-- name: (\w+)(?: \(min_version=(\d+)\))?\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Statement:
    """One named statement: what it is for, the least server version, and its SQL."""

    name: str
    description: str
    min_version: int
    sql: LiteralString


@cache
def statements() -> tuple[Statement, ...]:
    """Every statement of every file."""
    found: list[Statement] = []
    for file in sorted(files("dbopt.pg").joinpath("queries").iterdir(), key=lambda f: f.name):
        if file.name.endswith(".sql"):
            found += parse(file.read_text(encoding="utf-8"))
    return tuple(found)


def parse(text: str) -> list[Statement]:
    """The entries of one file."""
    marks = list(_ENTRY.finditer(text))
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    return [_statement(m, text[m.end() : end]) for m, end in zip(marks, ends, strict=True)]


def _statement(mark: re.Match[str], body: str) -> Statement:
    lines = body.strip().splitlines()
    comments = [line for line in lines if line.startswith("--")]
    sql = "\n".join(line for line in lines if not line.startswith("--")).strip().rstrip(";")
    return Statement(
        mark[1],
        " ".join(line.removeprefix("--").strip() for line in comments),
        int(mark[2] or 0),
        sql,
    )


def statement(name: str, version: int = 99) -> LiteralString:
    """The SQL of that name for a server of that major version; KeyError if there is none."""
    fitting = [s for s in statements() if s.name == name and s.min_version <= version]
    if not fitting:
        raise KeyError(f"no SQL statement {name!r} for PostgreSQL {version}")
    return max(fitting, key=lambda s: s.min_version).sql
