"""The lint of declared indexes: every rule over all files, as findings with their places."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

from dbopt.errors import DeclarationError
from dbopt.migrate.declared import MAX_FILE, Declared, read_file
from dbopt.migrate.indexrules import RULES
from dbopt.migrate.indexrules.support import Declarations, Entry, Match, Rule
from dbopt.sql.findings import Finding, Severity
from dbopt.sql.schema import Schema
from dbopt.sql.script import Script, Subject, script
from dbopt.sql.split import position, statements
from dbopt.sql.suppress import Suppressions

__all__ = ["RULES", "Looked", "Mistake", "lint_declared", "read_declared"]

_NEEDS_CATALOG = "Not examined: the rule needs the catalog of the database."
_CONNECT = "Give a database to look at, such as `dbopt index lint --dsn ...`."


_place = re.compile(r"(.*?):([0-9]+):([0-9]+): (.*)", re.DOTALL).fullmatch


@dataclass(frozen=True, slots=True)
class Mistake:
    """A file that could not be read, and where it fails, from 1; nothing of it was read."""

    file: str
    line: int
    column: int
    message: str
    hint: str


@dataclass(frozen=True)
class Looked:
    """What is looked at: the declared indexes, and the texts of their files by name.

    `pattern` is migrate.index_names; `schema` that of a database, if one is looked at.
    """

    entries: tuple[Entry, ...]
    texts: Mapping[str, str]
    today: date
    pattern: str = ""
    schema: Schema | None = None
    _files: dict[str, _File] = field(default_factory=dict, init=False, repr=False)

    @property
    def declarations(self) -> Declarations:
        """As the rules want it."""
        return Declarations(self.entries, self.today, self.pattern, self.schema)

    def file(self, entry: Entry) -> _File:
        """The file of an index."""
        if entry.file not in self._files:
            self._files[entry.file] = _File(script(self.texts[entry.file]))
        return self._files[entry.file]


@dataclass(frozen=True)
class _File:
    script: Script

    @cached_property
    def suppressions(self) -> Suppressions:
        return Suppressions(self.script)

    def subject(self, entry: Entry) -> Subject | None:
        at = (entry.line, entry.column)
        return next((one for one in self.script.subjects if (one.line, one.column) == at), None)


def read_declared(paths: Iterable[Path]) -> tuple[list[Entry], dict[str, str], list[Mistake]]:
    """The declared indexes of these files and directories, by file and line.

    With the texts of the files by name, and what could not be read, one mistake a file.
    """
    entries: list[Entry] = []
    texts: dict[str, str] = {}
    mistakes: list[Mistake] = []
    for file in dict.fromkeys(_files(paths)):
        text = texts[str(file)] = _text(file)
        try:
            entries += _entries(read_file(file), text)
        except DeclarationError as error:
            mistakes.append(_mistake(file, error))
    return entries, texts, mistakes


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        yield from sorted(path.glob("*.sql")) if path.is_dir() else [path]


def _text(file: Path) -> str:
    """As `read_file` has read it, so that places agree; what is not text is read as far as it
    can be, for the place of a mistake."""
    try:
        content = file.read_bytes()[:MAX_FILE] if file.is_file() else b""
    except OSError:
        return ""
    text = content.decode("utf-8-sig", errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _entries(found: Iterable[Declared], text: str) -> Iterator[Entry]:
    written = {(one.line, one.column): one.sql for one in statements(text)}
    for one in found:
        sql = written.get((one.line, one.column), "")
        notes = one.annotations
        yield Entry(one.definition, str(one.file), one.line, one.column, notes, sql)


def _mistake(file: Path, error: DeclarationError) -> Mistake:
    placed = _place(error.message)
    if placed is None or placed[1] != str(file):
        message = error.message.removeprefix(f"{file}: ")
        return Mistake(str(file), 1, 1, message, error.hint)
    return Mistake(placed[1], int(placed[2]), int(placed[3]), placed[4], error.hint)


def lint_declared(
    looked: Looked, rules: Sequence[Rule] = RULES, ignore: Collection[str] = ()
) -> list[tuple[Entry | None, Finding]]:
    """What the rules have to say, by file and line, each with its index.

    A finding's object is "line:column", both from 1, and its evidence has `line`, `column`,
    `end_line`, `end_column` (one past the last character), `index`, `table`, and what the rule
    adds. A comment `-- dbopt:ignore RULE reason` takes findings back: see dbopt.sql.suppress. A
    rule that needs a database and has none is one that was not examined, last of all, with None
    for its index.
    """
    wanted = [rule for rule in rules if rule.name not in ignore]
    blind = [rule for rule in wanted if rule.needs_schema and looked.schema is None]
    order = {id(entry): at for at, entry in enumerate(looked.entries)}
    found = [
        (match.entry, _finding(rule, match))
        for rule in wanted
        if rule not in blind
        for match in _matches(rule, looked)
    ]
    found.sort(key=lambda one: order[id(one[0])])
    placed: list[tuple[Entry | None, Finding]] = [*found]
    if looked.entries:
        placed += [(None, _unexamined(rule)) for rule in blind]
    return placed


def _matches(rule: Rule, looked: Looked) -> Iterator[Match]:
    for match in rule.check(looked.declarations):
        file = looked.file(match.entry)
        subject = file.subject(match.entry)
        if subject is None or not file.suppressions.cover(rule.name, subject, subject.start):
            yield match


def _finding(rule: Rule, match: Match) -> Finding:
    entry = match.entry
    lines, last = position(entry.sql, len(entry.sql))
    evidence: dict[str, Any] = {
        "line": entry.line,
        "column": entry.column,
        "end_line": entry.line + lines - 1,
        "end_column": last if lines > 1 else entry.column + last - 1,
        "index": entry.definition.name,
        "table": entry.definition.table,
        **match.evidence,
    }
    severity = rule.severity if match.severity is None else match.severity
    where = f"{entry.line}:{entry.column}"
    return Finding(rule.name, severity, where, match.message, evidence, match.remedy or rule.remedy)


def _unexamined(rule: Rule) -> Finding:
    return Finding(rule.name, Severity.INFO, "", _NEEDS_CATALOG, {}, _CONNECT, examined=False)
