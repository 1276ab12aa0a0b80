"""The declared indexes: `indexes/*.sql`, one file a table, CREATE INDEX statements only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dbopt.errors import DeclarationError
from dbopt.pg import ddl
from dbopt.pg.connect import Connection
from dbopt.settings import TABLE, Settings
from dbopt.sql.indexdef import IndexDefinition, parse_index
from dbopt.sql.split import SourceStatement, statements

_PLACE = re.compile(r"^Line (\d+), column (\d+): ")

MAX_NAME = 63
"""Bytes: NAMEDATALEN - 1. PostgreSQL would cut a longer name without a word."""


@dataclass(frozen=True, slots=True)
class Declared:
    """A declared index and where it stands; lines count from 1."""

    definition: IndexDefinition
    file: Path
    line: int

    @property
    def where(self) -> str:
        """The place as `indexes/users.sql:3`."""
        return f"{self.file}:{self.line}"


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
    read, for a name that is too long, and for a name that is given twice.
    """
    found = [one for file in sorted(directory.glob("*.sql")) for one in _read_file(file)]
    seen: dict[tuple[str, str], Declared] = {}
    for one in found:
        key = (one.definition.schema, one.definition.name)
        if key in seen:
            raise DeclarationError(
                f'{one.where}: the index "{one.definition.name}" is declared at '
                f"{seen[key].where} already.",
                hint="Give each index a name of its own.",
            )
        seen[key] = one
    return found


def canonical_declared(connection: Connection, found: Iterable[Declared]) -> list[IndexDefinition]:
    """Their definitions as this server would store them; raises as `pg.ddl.canonical` does."""
    return [ddl.canonical(connection, one.definition) for one in found]


def _read_file(file: Path) -> Iterator[Declared]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DeclarationError(f"{file}: cannot be read ({type(error).__name__}).") from None
    for statement in statements(text):
        yield Declared(_definition(statement, file), file, statement.line)


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
    return definition
