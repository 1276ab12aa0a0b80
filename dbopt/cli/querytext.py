"""The SQL that `dbopt query` is given: on the command line, in files and folders, or piped in."""

from __future__ import annotations

import os
import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from dbopt.errors import UsageError
from dbopt.sql.fingerprint import fingerprint, fingerprint_hex, normalize
from dbopt.sql.mistake import WIDEST, excerpt
from dbopt.sql.parse import LONGEST_PARSED, Statement, split
from dbopt.sql.redact import redact
from dbopt.sql.split import position

MAX_BYTES = 10_000_000
"""Of one file. A larger one is a dump, and not what somebody wrote."""
MAX_FILES = 10_000
"""Of one folder."""
STDIN = "-"

_LONGEST_PATH = 4096
"""Bytes (Linux, PATH_MAX)."""


class Part(NamedTuple):
    """A piece of a text: where it starts, in characters, and the number of its first statement."""

    text: str
    start: int
    first: int


@dataclass(frozen=True)
class Source:
    """One text. `name` is its path, or "" for what the command line gave.

    `typed`: it stood on the command line, and may be shown with its constants.
    """

    text: str
    name: str = ""
    typed: bool = False

    @cached_property
    def statements(self) -> list[Statement]:
        """Its statements."""
        return split(self.text)

    @cached_property
    def _starts(self) -> list[int]:
        return [one.tokens[0].start for one in self.statements]

    def parts(self) -> Iterator[Part]:
        """The text in pieces that are short enough to be judged, cut between statements."""
        start = first = 0
        for number, statement in enumerate(self.statements):
            end = self._starts[number] + len(statement.text)
            if end - start > LONGEST_PARSED and number > first:
                cut = self._ends(number - 1)
                yield Part(self.text[start:cut], start, first)
                start, first = cut, number
        yield Part(self.text[start:], start, first)

    def _ends(self, number: int) -> int:
        """The offset behind a statement, and behind its semicolon where that comes at once."""
        end = self._starts[number] + len(self.statements[number].text)
        return end + 1 if self.text[end : end + 1] == ";" else end

    def where(self, offset: int) -> str:
        """`file:line:column`, or `line:column` of what has no file."""
        line, column = position(self.text, offset)
        return f"{self.name}:{line}:{column}" if self.name else f"{line}:{column}"

    def excerpt(self, start: int, end: int | None = None, width: int = WIDEST) -> tuple[str, str]:
        """The line of an offset, and carets below it: see dbopt.sql.mistake."""
        above = self.text.rfind("\n", 0, start) + 1
        at = bisect_right(self._starts, above) - 1
        base = self._starts[at] if at >= 0 else 0
        return excerpt(self.text, start, end, hide=not self.typed, base=base, width=width)

    def shown(self, statement: str) -> str:
        """A statement of it as it may be shown: on one line, and without constants if a file's."""
        return " ".join(statement.split()) if self.typed else redact(statement)


def sources(arguments: Iterable[str], *, literals: bool = False) -> list[Source]:
    """What the arguments name: texts, files, folders of .sql files, "-" for standard input.

    Without any it is standard input, unless that is a terminal. With `literals` all may be shown
    with constants. A file that says nothing yet is left out. Raises UsageError for what cannot be
    read, is no text, and for an argument or a pipe that holds no statement.
    """
    found: list[Source] = []
    for argument in _given(arguments):
        for one in _sources(argument):
            if one.statements:
                found.append(replace(one, typed=one.typed or literals))
            elif not one.name:
                what = "Standard input" if argument == STDIN else "The argument"
                raise UsageError(f"{what} holds no SQL statement.")
    return found


def _given(arguments: Iterable[str]) -> list[str]:
    given = list(arguments)
    if not given and sys.stdin.isatty():
        raise UsageError("Nothing to read.", hint="Give SQL, a file, a folder, or - for a pipe.")
    return given or [STDIN]


def _sources(argument: str) -> Iterator[Source]:
    if argument == STDIN:
        yield Source(_decoded(sys.stdin.buffer.read(MAX_BYTES + 1), "Standard input"))
        return
    path = _path(argument)
    if path is None:
        yield Source(_decoded(os.fsencode(argument), "The argument"), typed=True)
        return
    files = _in_folder(path) if path.is_dir() else [path]
    yield from (Source(_read(file), str(file)) for file in files)


def _path(argument: str) -> Path | None:
    """The path, if there is one of that name, or if it can be meant as nothing else."""
    if not 0 < len(argument.strip()) <= _LONGEST_PATH or "\0" in argument or "\n" in argument:
        return None
    path = Path(argument)
    try:
        if path.exists():
            return path
    except OSError:
        return None
    if argument.endswith(".sql") or ("/" in argument and not any(map(str.isspace, argument))):
        raise UsageError(f"{argument}: there is no such file.")
    return None


def _in_folder(path: Path) -> list[Path]:
    """Its .sql files, those of folders inside too, but for hidden ones; by name."""
    found: list[Path] = []
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(name for name in folders if name[0] != ".")
        found += [Path(folder, name) for name in sorted(files) if name.endswith(".sql")]
        if len(found) > MAX_FILES:
            raise UsageError(f"{path}: holds more than {MAX_FILES} .sql files.")
    if not found:
        raise UsageError(f"{path}: holds no .sql file.")
    return found


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}.") from None
    return _decoded(data, str(path))


def _decoded(data: bytes, what: str) -> str:
    if len(data) > MAX_BYTES:
        raise UsageError(
            f"{what}: is larger than {MAX_BYTES // 1_000_000} MB.",
            hint="It may be a dump. Give the statements that the application sends.",
        )
    if b"\0" in data:
        raise UsageError(
            f"{what}: is no SQL text: it holds a NUL byte at {data.index(0)}.",
            hint="A binary file, or UTF-16? Save it as UTF-8.",
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"{what}: is no UTF-8 text: byte 0x{data[error.start]:02x} in line {line}.",
            hint="Save it as UTF-8.",
        ) from None


def printed(source: Source, statement: Statement) -> dict[str, Any]:
    """What JSON says of every statement: its place, fingerprint and normalised text."""
    line, column = position(source.text, statement.tokens[0].start)
    return {
        "file": source.name,
        "line": line,
        "column": column,
        "fingerprint": fingerprint_hex(fingerprint(statement.text)),
        "normalized": normalize(statement.text),
    }
