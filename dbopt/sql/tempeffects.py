"""Which statements make something temporary, and which CREATE runs a prepared statement.

Source: PostgreSQL 18's src/backend/parser/gram.y: OptTemp, OptTempTableName, ExplainStmt.
"""

from __future__ import annotations

import re

from dbopt.sql.effectentry import Statement
from dbopt.sql.outline import MOST_MARKS, TEMP_SCHEMA, Mark
from dbopt.sql.sessioneffect import Effect, SessionStatement

_TEMPORARY = frozenset({"temp", "temporary"})
_MOST_OPTIONS = 64
_NEAR = 64
_inserts = re.compile(r"(?:insert|merge)[ \t\n\r\f\v]++\Z", re.IGNORECASE).search


def explain_effects(it: Statement) -> list[SessionStatement]:
    """What EXPLAIN of a statement does."""
    at = _past_options(it)
    word = it.read.word(at)
    if word == "execute":
        return it.named(Effect.EXECUTE, at + 1)
    return _create_at(it, at) if word == "create" else into_effects(it)


def _past_options(it: Statement) -> int:
    """The index of what EXPLAIN explains."""
    at, depth = 1, 0
    while at < _MOST_OPTIONS:
        word = it.read.word(at)
        depth += {"(": 1, ")": -1}.get(word, 0)
        options = word in {"analyze", "analyse", "verbose", ")"}
        if depth == 0 and not options:
            break
        at += 1
    return at


def create_effects(it: Statement) -> list[SessionStatement]:
    """What CREATE does."""
    return _create_at(it, 0)


def _create_at(it: Statement, at: int) -> list[SessionStatement]:
    return _created(it, at + 1) + _as_execute(it)


def _created(it: Statement, at: int) -> list[SessionStatement]:
    """TEMP for what is made in the temporary schema, by its word or by its name."""
    read = it.read
    at += 2 if read.words(at, "or", "replace") else 0
    at += 1 if read.word(at) in {"global", "local"} else 0
    if read.word(at) in _TEMPORARY:
        return [it.entry(_lifetime(it))]
    return _in_temp_schema(it)


def _lifetime(it: Statement) -> Effect:
    """ON COMMIT DROP stands outside of parentheses and before AS."""
    end = next((mark.start for mark in _outside(it, "as")), it.span.end)
    for mark in _outside(it, "commit"):
        if mark.start < end and it.after(mark).word(0) == "drop":
            return Effect.TEMP_IN_TRANSACTION
    return Effect.TEMP


def _outside(it: Statement, word: str) -> list[Mark]:
    return [mark for mark in it.span.marks.get(word, ()) if mark.depth == 0]


def _in_temp_schema(it: Statement) -> list[SessionStatement]:
    marks = it.span.marks.get(TEMP_SCHEMA, ())
    if len(marks) >= MOST_MARKS or any(it.after(mark).word(0) == "." for mark in marks):
        return [it.entry(Effect.TEMP)]
    return []


def _as_execute(it: Statement) -> list[SessionStatement]:
    """CREATE TABLE … AS EXECUTE: its first AS outside of parentheses."""
    for mark in _outside(it, "as")[:1]:
        read = it.after(mark)
        if read.word(0) == "execute":
            return it.named(Effect.EXECUTE, 1, read)
    return []


def into_effects(it: Statement) -> list[SessionStatement]:
    """SELECT … INTO TEMP; INSERT INTO temp names a table."""
    marks = it.span.marks.get("into", ())
    if len(marks) >= MOST_MARKS or any(_is_temporary(it, mark) for mark in marks):
        return [it.entry(Effect.TEMP)]
    return []


def _is_temporary(it: Statement, mark: Mark) -> bool:
    read = it.after(mark)
    at = 1 if read.word(0) in {"global", "local"} else 0
    found = read.identifier(at)
    if found is None or _inserts(it.text, max(it.span.start, mark.start - _NEAR), mark.start):
        return False
    if found.name.startswith(TEMP_SCHEMA):
        return True
    return read.word(at) in _TEMPORARY and read.identifier(at + 1) is not None
