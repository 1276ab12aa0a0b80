"""The declared indexes: `indexes/*.sql`, one file a table, CREATE INDEX statements only.

CONCURRENTLY and IF NOT EXISTS say how to build, not what is wanted, so they mean nothing here.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dbopt.errors import DboptError, DeclarationError
from dbopt.migrate.annotations import NOTHING, Annotations, Comment, read_annotations
from dbopt.migrate.names import MAX_NAME
from dbopt.migrate.steps import Wanted
from dbopt.pg.canonical import Answer, canonicals, said
from dbopt.pg.connect import Connection
from dbopt.settings import TABLE, Settings
from dbopt.sql.indexdef import IndexDefinition, parse_index
from dbopt.sql.lexer import Lexeme, Token, code, tokens
from dbopt.sql.split import SourceStatement, position, statements

MAX_FILE = 1_000_000
"""Bytes of one file."""
MAX_STATEMENTS = 2_000
"""Of one file."""

_PLACE = re.compile(r"^Line (\d+), column (\d+): ")
_MARKS = re.compile(r"--+|/\*+")


@dataclass(frozen=True, slots=True)
class Declared:
    """A declared index, what its comments say, and where it stands; all count from 1."""

    definition: IndexDefinition
    file: Path
    line: int
    column: int = 1
    annotations: Annotations = NOTHING

    @property
    def where(self) -> str:
        """The place as `indexes/users.sql:3`."""
        return f"{self.file}:{self.line}"

    @property
    def place(self) -> str:
        """The place of an error, `indexes/users.sql:3:1`."""
        return f"{self.where}:{self.column}"


def declared(settings: Settings) -> list[Declared]:
    """The declared indexes of the configured directory.

    A missing directory means none where nobody has configured one. Raises DeclarationError.
    """
    directory = Path(settings.index.directory)
    if not directory.is_dir():
        if settings.index.directory == TABLE["index.directory"].default:
            return []
        raise DeclarationError(
            f"{directory}: is no directory.", hint="Correct index.directory, or make it."
        )
    return read(directory)


def read(directory: Path) -> list[Declared]:
    """The declared indexes of a directory, by file and line.

    Raises DeclarationError with `file:line:column` for what is not a CREATE INDEX that can be
    read, for one that says ONLY, for a name that is missing, too long or given twice, and for
    annotations that cannot be read; with the file for one that is no text or too long.
    """
    found = [one for file in sorted(directory.glob("*.sql")) for one in read_file(file)]
    seen: defaultdict[str, list[Declared]] = defaultdict(list)
    for one in found:
        for other in seen[one.definition.name]:
            if _is_same_name(one.definition, other.definition):
                raise _twice(one, other)
        seen[one.definition.name].append(one)
    return found


def read_file(file: Path) -> list[Declared]:
    """The declared indexes of one file; raises as `read` does, but for names given twice."""
    text = _text(file)
    found = statements(text)
    if len(found) > MAX_STATEMENTS:
        raise DeclarationError(
            f"{file}: has more than {MAX_STATEMENTS} statements.", hint="Use a file for each table."
        )
    comments = _comments(text, found)
    return [
        Declared(
            _definition(statement, file),
            file,
            statement.line,
            statement.column,
            read_annotations(comments[number], str(file)),
        )
        for number, statement in enumerate(found)
    ]


def wanted(connection: Connection, found: Iterable[Declared]) -> list[Wanted]:
    """The declared ones as this server would store them, in the same order.

    Raises MigrationError, with the place, as `canonical` does, and DeclarationError where
    two have one name once their schemas are known.
    """
    declarations = list(found)
    there = said(connection, [one.definition for one in declarations]) if declarations else []
    answers: dict[int, Answer] = {n: one for n, one in enumerate(there) if one is not None}
    tables: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for number, one in enumerate(declarations):
        if number not in answers:
            tables[one.definition.schema, one.definition.table].append(number)
    for numbers in tables.values():
        of_table = [declarations[number].definition for number in numbers]
        answers |= zip(numbers, canonicals(connection, of_table), strict=True)
    seen: dict[tuple[str, str], Declared] = {}
    made = []
    for number, one in enumerate(declarations):
        definition = answers[number]
        if isinstance(definition, DboptError):
            message = f"{one.place}: {definition.message}"
            raise type(definition)(message, hint=definition.hint)
        other = seen.setdefault((definition.schema, definition.name), one)
        if other is not one:
            raise _twice(one, other)
        made.append(Wanted(definition, one.where))
    return made


def _is_same_name(one: IndexDefinition, other: IndexDefinition) -> bool:
    """As far as files tell: a table without its schema is most likely public's of that name."""
    if {one.schema, other.schema} == {"", "public"}:
        return one.table == other.table
    return one.schema == other.schema


def _twice(one: Declared, other: Declared) -> DeclarationError:
    return DeclarationError(
        f'{one.place}: the index "{one.definition.name}" is declared at {other.place} already.',
        hint="Give each index a name of its own.",
    )


def _text(file: Path) -> str:
    try:
        if not file.is_file():  # to read a named pipe would wait for ever
            raise DeclarationError(f"{file}: is no file.", hint="Take it out of the directory.")
        with file.open("rb") as opened:
            content = opened.read(MAX_FILE + 1)
        text = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DeclarationError(
            f"{file}: cannot be read ({type(error).__name__}).", hint="It must be text in UTF-8."
        ) from None
    if len(content) > MAX_FILE:
        raise DeclarationError(
            f"{file}: is longer than {MAX_FILE:,} bytes.", hint="Use a file for each table."
        )
    return text


def _comments(text: str, found: list[SourceStatement]) -> list[list[Comment]]:
    """The comments of each statement: those before it, in it, and behind it on its last line."""
    breaks = [at for at, char in enumerate(text) if char == "\n"]
    starts = [_offset(breaks, statement) for statement in found]
    ends = [start + len(one.sql) for start, one in zip(starts, found, strict=True)]
    comments: list[list[Comment]] = [[] for _ in found]
    for token in _comment_tokens(text):
        number = bisect_right(starts, token.start) - 1
        line = bisect_left(breaks, token.start)
        within = number >= 0 and line <= bisect_left(breaks, ends[number])
        if not within:
            number += 1
        if number < len(found):
            comments[number].append(_comment(token, line, breaks))
    return comments


def _comment_tokens(text: str) -> Iterator[Token]:
    return (token for token in tokens(text) if token.lexeme is Lexeme.COMMENT)


def _comment(token: Token, line: int, breaks: list[int]) -> Comment:
    marks = _MARKS.match(token.text)
    skipped = marks.end() if marks else 0
    body = token.text[skipped:].removesuffix("*/") if skipped else token.text
    column = token.start + skipped - (breaks[line - 1] + 1 if line else 0) + 1
    return Comment(body, line + 1, column)


def _offset(breaks: list[int], statement: SourceStatement) -> int:
    before = breaks[statement.line - 2] + 1 if statement.line > 1 else 0
    return before + statement.column - 1


def _definition(statement: SourceStatement, file: Path) -> IndexDefinition:
    try:
        definition = parse_index(statement.sql, statement.line, statement.column)
    except DeclarationError as error:
        message = _PLACE.sub(lambda at: f"{file}:{at[1]}:{at[2]}: ", error.message)
        raise DeclarationError(message, hint=error.hint) from None
    where = f"{file}:{statement.line}:{statement.column}"
    if not definition.name:
        raise DeclarationError(
            f"{where}: the index has no name.", hint="Name it, so that it can be found again."
        )
    if len(definition.name.encode()) > MAX_NAME:
        raise DeclarationError(
            f'{where}: the name "{definition.name}" has more than {MAX_NAME} bytes.',
            hint="Shorten it.",
        )
    _refuse_only(statement, file)
    return definition


def _refuse_only(statement: SourceStatement, file: Path) -> None:
    words = code(statement.sql)
    on = next((at for at, word in enumerate(words) if word.text.lower() == "on"), len(words))
    for word in words[on + 1 : on + 2]:
        if word.text.lower() == "only":
            line, column = position(statement.sql, word.start)
            column += statement.column - 1 if line == 1 else 0
            raise DeclarationError(
                f"{file}:{line + statement.line - 1}:{column}: ONLY would leave the partitions "
                "without the index.",
                hint="Leave ONLY out: dbopt builds the partitions' indexes one by one.",
            )
