"""What two statements gave on the same samples, and whether it is the same.

Rows are kept as digests: they are compared, and shown to nobody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from psycopg import pq, sql

from dbopt.pg.connect import Connection
from dbopt.pg.sampling import Samples
from dbopt.sql.query import Kind
from dbopt.sql.samples import Ready

MOST_RESULT_ROWS = 100_000
"""Rows of one result. A statement that gives more of such samples is not examined."""

_FETCHED = 5000
_NAME = "dbopt_rewrite"


class Different(Exception):
    """The results differ; the message says how."""


class NotExamined(Exception):
    """There is no telling; the message says why."""


@dataclass(slots=True)
class Result:
    """What a statement gave: output columns, and each row as a digest; its ORDER BY keys too.

    `left` are the rows of the table that it changed.
    """

    columns: list[tuple[str, int]] = field(default_factory=list)
    rows: list[bytes] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    left: Counter[bytes] = field(default_factory=Counter)


def run(connection: Connection, statement: Ready, text: str, samples: Samples) -> Result:
    """Run a statement, and undo what it changed. `text` is its SQL on the samples.

    Raises NotExamined or psycopg.Error.
    """
    with connection.transaction(force_rollback=True):
        if statement.kind is Kind.READ:
            return _read(connection, statement, text)
        return _change(connection, statement, text, samples)


def _read(connection: Connection, statement: Ready, text: str) -> Result:
    # In the extended protocol, so that the server refuses a text of several commands.
    declare = f"DECLARE {_NAME} NO SCROLL CURSOR FOR {text}"
    connection.execute(_encoded(declare, connection), binary=True)
    return _fetched(connection, statement.order)


def _fetched(connection: Connection, order: Sequence[str | int | None]) -> Result:
    result = Result()
    while True:
        page = connection.execute(f"FETCH FORWARD {_FETCHED} FROM {_NAME}".encode()).pgresult
        if page is None:
            return result
        result.columns = [(_text(page.fname(at)), page.ftype(at)) for at in range(page.nfields)]
        keys = _key_places(order, [name for name, _ in result.columns])
        everything = range(page.nfields)
        for row in range(page.ntuples):
            result.rows.append(_digest(page, row, everything))
            if order:
                result.keys.append(_digest(page, row, everything if keys is None else keys))
        if len(result.rows) > MOST_RESULT_ROWS:
            raise NotExamined("samples of its tables give too many rows")
        if page.ntuples < _FETCHED:
            return result


def _change(connection: Connection, statement: Ready, text: str, samples: Samples) -> Result:
    """Run an UPDATE or DELETE: its RETURNING, and what is left of the table that it changes."""
    page = connection.execute(_encoded(text, connection), binary=True).pgresult
    result = Result()
    if page is not None and page.nfields:
        result.columns = [(_text(page.fname(at)), page.ftype(at)) for at in range(page.nfields)]
        result.rows = sorted(_digest(page, row, range(page.nfields)) for row in range(page.ntuples))
    assert statement.target is not None  # noqa: S101 - an UPDATE or DELETE has one
    table = samples[statement.target].sql
    rows = connection.execute(sql.SQL("SELECT * FROM {}").format(table)).pgresult
    if rows is not None:
        found = (_digest(rows, row, range(rows.nfields)) for row in range(rows.ntuples))
        result.left = Counter(found)
    return result


def need_equal(first: Result, second: Result) -> None:
    """Raises Different, with the reason. Rows without ORDER BY may come in any order."""
    if len(first.columns) != len(second.columns):
        raise Different("another number of columns")
    for (name, type_), (other, other_type) in zip(first.columns, second.columns, strict=True):
        if type_ != other_type:
            raise Different("a column has another type")
        # Nobody can rely on the name of a column that has none.
        if name not in (other, "?column?"):
            raise Different("a column has another name")
    if Counter(first.rows) != Counter(second.rows):
        raise Different(
            f"{len(first.rows)} rows, and {len(second.rows)} of the rewrite, not the same"
        )
    if first.keys != second.keys:
        raise Different("the rows come in another order")
    if first.left != second.left:
        raise Different("other rows are changed")


def _key_places(order: Sequence[str | int | None], names: list[str]) -> list[int] | None:
    """The places of the ORDER BY keys in a row; None where one is not in it, or not surely."""
    places: list[int] = []
    for key in order:
        if isinstance(key, int) and 0 < key <= len(names):
            places.append(key - 1)
        elif isinstance(key, str) and names.count(key) == 1:
            places.append(names.index(key))
        else:
            return None
    return places


def _digest(page: pq.abc.PGresult, row: int, columns: Sequence[int]) -> bytes:
    digest = blake2b(digest_size=16)
    for column in columns:
        value = page.get_value(row, column)
        digest.update(b"-" if value is None else b"%d:" % len(value))
        digest.update(value or b"")
    return digest.digest()


def _text(name: bytes | None) -> str:
    return (name or b"").decode(errors="replace")


def _encoded(text: str, connection: Connection) -> bytes:
    try:
        return text.encode(connection.info.encoding)
    except UnicodeEncodeError:
        raise NotExamined("its text cannot be sent in the session's encoding") from None
