"""Splitting a .sql file into its statements, with their positions and leading comments."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import NamedTuple

from dbopt.sql.lexer import Lexeme, Token, tokens


class SourceStatement(NamedTuple):
    """One statement of a file. Line and column count from 1; the `;` is left out."""

    sql: str
    line: int
    column: int
    comments: tuple[str, ...]


def statements(text: str) -> list[SourceStatement]:
    """The statements of a file in order, each with the comments right before it.

    A comment is given without its marks. Semicolons in strings, dollar quotes, comments and
    parentheses end nothing. Never raises.
    """
    found: list[SourceStatement] = []
    lines = _Lines(text)
    comments: list[str] = []
    body: list[Token] = []
    depth = 0
    for token in tokens(text):
        if token.lexeme is Lexeme.PUNCT:
            depth += {"(": 1, ")": -1}.get(token.text, 0)
        if token.text == ";" and depth <= 0:
            found.extend(_source(lines, body, comments))
            comments, body, depth = [], [], 0
        elif token.lexeme is Lexeme.COMMENT and not body:
            comments.append(_unmarked(token.text))
        elif body or token.lexeme is not Lexeme.SPACE:
            body.append(token)
    found.extend(_source(lines, body, comments))
    return found


def position(text: str, offset: int) -> tuple[int, int]:
    """The line and column of an offset in characters, both from 1."""
    start = text.rfind("\n", 0, offset) + 1
    return text.count("\n", 0, offset) + 1, offset - start + 1


def located(text: str, start: int, end: int) -> dict[str, int]:
    """A place as a finding's evidence tells it: line, column, end_line, end_column, all from 1.

    The end is one past the last character.
    """
    line, column = position(text, start)
    end_line, end_column = position(text, end)
    return {"line": line, "column": column, "end_line": end_line, "end_column": end_column}


class _Lines:
    """Where lines begin, so that a place costs no look at all of the text before it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]

    def position(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1


def _source(lines: _Lines, body: list[Token], comments: list[str]) -> list[SourceStatement]:
    while body and body[-1].lexeme in {Lexeme.SPACE, Lexeme.COMMENT}:
        body.pop()
    if not body:
        return []
    line, column = lines.position(body[0].start)
    end = body[-1].start + len(body[-1].text)
    return [SourceStatement(lines.text[body[0].start : end], line, column, tuple(comments))]


def _unmarked(comment: str) -> str:
    if comment.startswith("--"):
        return comment.lstrip("-").strip()
    return comment.removeprefix("/*").removesuffix("*/").strip()
