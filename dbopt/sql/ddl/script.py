"""The statements of a text, in the order in which they run, each read. Never raises."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

from dbopt.sql.ddl.bodies import PLPGSQL, SQL, Body, body_in, body_of, statements_in
from dbopt.sql.ddl.elements import Span
from dbopt.sql.ddl.model import Block, Create, Statement, Within
from dbopt.sql.ddl.psql import Command, read_psql
from dbopt.sql.ddl.read import inner_node, node
from dbopt.sql.lexer import Lexeme, unquote
from dbopt.sql.parse import Statement as Source
from dbopt.sql.parse import split

_NAMES = frozenset({Lexeme.WORD, Lexeme.NAME})
_FUNCTIONS = frozenset({"function", "procedure"})
_CALLS_NOTHING = frozenset({"create", "alter", "drop", "comment", "grant", "revoke", "security"})
"""Commands in which a name before a bracket is a definition, or of one."""
_DEEPEST = 2
"""Strings within strings whose code is read: each is lexed once more."""


def read(text: str) -> list[Statement]:
    r"""The statements of a text in the order in which they run, each with what it says.

    Those of a DO block follow it, and those of a function follow the statement that is the first
    to call it: see Statement.within. psql's own commands are passed over, but one that runs what
    is not here (`\i`, `\gexec`) is a Block. Offsets are in characters of the text. Linear in the
    text; never raises.
    """
    sent, commands = read_psql(text)
    reading = _Reading(sent)
    sources = split(sent)
    for number, source in enumerate(sources, start=1):
        while commands and commands[0].start < source.tokens[0].start:
            reading.add_command(commands.popleft(), number)
        reading.add(source, number)
    for one in commands:
        reading.add_command(one, len(sources) + 1)
    return reading.found


def opened(text: str, statements: Sequence[Statement]) -> str:
    """The text with blanks for the quotes of the code that was read, so that it reads as code."""
    bodies = {one.within.body for one in statements if one.within is not None}
    parts: list[str] = []
    at = 0
    for start, end in sorted(quote for body in bodies for quote in body.quotes):
        parts += [text[at:start], " " * (end - start)]
        at = end
    return "".join((*parts, text[at:]))


class _Code(NamedTuple):
    """Code that a statement runs: its statements, and who holds it, None for that one itself."""

    name: str
    body: Body
    holder: Statement | None
    statements: Sequence[Source]


class _Reading:
    """The statements so far, and the functions that have been made and not called yet."""

    def __init__(self, text: str) -> None:
        self.found: list[Statement] = []
        self._text = text
        self._functions: dict[str, tuple[Statement, Body]] = {}

    def add(self, source: Source, number: int) -> None:
        """A statement, and all that it runs."""
        # A stack, not recursion: functions may call each other as often as they like.
        todo: list[tuple[Source, Within | None]] = [(source, None)]
        while todo:
            one, within = todo.pop()
            statement = self._statement(one, number, within)
            code = [found for found in self._code(one, statement) if found.statements]
            if code and isinstance(statement.does, Block):
                statement = replace(statement, does=replace(statement.does, examined=True))
            self.found.append(statement)
            for name, body, holder, inside in reversed(code):
                around = Within(name, body, holder or statement, statement)
                todo += ((inner, around) for inner in reversed(inside))

    def add_command(self, command: Command, number: int) -> None:
        """A command of psql's."""
        at = Span(command.start, command.start + len(command.text))
        self.found.append(Statement(number, command.text, at.start, Block(at, command.text)))

    def _statement(self, source: Source, number: int, within: Within | None) -> Statement:
        start = source.tokens[0].start
        if within is None:
            return Statement(number, source.text, start, node(source))
        does = inner_node(source) if within.body.language == PLPGSQL else node(source)
        return Statement(within.holder.number, source.text, start, does, within)

    def _code(self, source: Source, statement: Statement) -> Iterator[_Code]:
        """What it runs, as far as that can be read; a function that it makes is kept for later."""
        does, first = statement.does, source.tokens[0].text.lower()
        if _depth(statement) >= _DEEPEST:
            return
        if isinstance(does, Create) and does.kind in _FUNCTIONS:
            if (body := body_in(source.tokens)) is not None:
                self._functions[does.name.name] = (statement, body)
        elif isinstance(does, Block) and first == "do":
            yield from self._opened("a DO block", body_in(source.tokens))
        elif isinstance(does, Block) and first == "execute" and _is_constant(source):
            yield from self._opened("EXECUTE", body_of(source.tokens[1], SQL))
        elif self._functions and first not in _CALLS_NOTHING:
            for token, following in pairwise(source.tokens):
                name = unquote(token.text) if token.lexeme in _NAMES else ""
                if following.text == "(" and name in self._functions:
                    holder, called = self._functions.pop(name)
                    yield from self._opened(f"{name}()", called, holder)

    def _opened(
        self, name: str, body: Body | None, holder: Statement | None = None
    ) -> Iterator[_Code]:
        if body is not None:
            yield _Code(name, body, holder, statements_in(self._text, body) or ())


def _is_constant(execute: Source) -> bool:
    """Whether EXECUTE runs one constant, whatever it takes its parameters from."""
    lexemes = [token.lexeme for token in execute.tokens[1:2]]
    return lexemes == [Lexeme.STRING] and execute.words[2:3] in {(), ("into",), ("using",)}


def _depth(statement: Statement) -> int:
    """In how many strings it stands."""
    depth = 0
    while statement.within is not None:
        statement, depth = statement.within.holder, depth + 1
    return depth
