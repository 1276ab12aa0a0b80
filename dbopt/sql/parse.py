"""The one door to sqlglot: bounded, silent, and never an exception.

sqlglot's compiled parser recurses on the C stack. Deep nesting ends in RecursionError at best
and, for nested subqueries, in a segmentation fault; so nesting is counted before parsing.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from sqlglot import Dialect, ErrorLevel, exp
from sqlglot.errors import ParseError, SqlglotError

from dbopt.sql.lexer import Lexeme, Token, code
from dbopt.sql.respell import respelled
from dbopt.sql.shorten import shortened

LONGEST_READ = 300_000
"""Characters of a text that are looked at."""
LONGEST_PARSED = 100_000
"""Characters. A longer statement is parsed without most of its constants: see `shorten`. If it is
as long without them, it is classed by its tokens alone."""
DEEPEST_PARSED = 100
"""Brackets open at once. PostgreSQL itself stops at max_stack_depth, some thousands."""
MOST_TOKENS = 32_000
"""A statement of more, its long lists aside, is classed by its tokens alone: a tree of so many
nodes costs seconds."""
_MOST_LINKS = 200
"""`a[1][2]...` and `(a).b.c()...`: sqlglot's time grows faster than the square of such a chain."""
_LINKS = frozenset({("]", "["), (")", ".")})

# It warns of every statement that it keeps as a Command, and shows the statement's literals.
logging.getLogger("sqlglot").setLevel(logging.CRITICAL + 1)

_postgres = Dialect.get_or_raise("postgres")
_parser = _postgres.parser_class
KNOWN_FUNCTIONS = frozenset(
    name.lower() for name in (*_parser.FUNCTIONS, *_parser.FUNCTION_PARSERS)
)
"""Functions that it has a class for: PostgreSQL's and many of other servers, in lower case."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a text: its tokens without blanks, and its text, both without the `;`."""

    text: str
    tokens: tuple[Token, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """Its first six tokens in lower case: enough to tell what it does."""
        return tuple(token.text.lower() for token in self.tokens[:6])


def split(text: str) -> list[Statement]:
    """The statements of a text, empty ones left out.

    A semicolon inside parentheses (a rule's actions) or in BEGIN ATOMIC ends nothing.
    """
    found: list[Statement] = []
    current: list[Token] = []
    bodies = _Bodies()
    for token in code(text):
        bodies.pass_over(token)
        if token.text != ";" or bodies.open:
            current.append(token)
            continue
        if current:
            found.append(_statement(text, current))
        current, bodies = [], _Bodies()
    if current:
        found.append(_statement(text, current))
    return found


class _Bodies:
    """Counts what a semicolon may stand in: parentheses, and the body of BEGIN ATOMIC.

    Source: PostgreSQL 18 documentation, CREATE FUNCTION, sql_body; psql's scanner does the same.
    """

    def __init__(self) -> None:
        self._first = ""
        self._before = ""
        self._brackets = 0
        self._blocks = 0

    @property
    def open(self) -> bool:
        return self._brackets > 0 or self._blocks > 0

    def pass_over(self, token: Token) -> None:
        """Takes notice of the statement's next token."""
        if token.lexeme is Lexeme.PUNCT:
            self._brackets += _step(token)
        if token.lexeme is not Lexeme.WORD:
            return
        word = token.text.lower()
        self._first = self._first or word
        if self._first == "create" and self._before == "begin" and word == "atomic":
            self._blocks += 1
        elif self._blocks > 0:
            self._blocks += _CASES.get(word, 0)
        self._before = word


def parse(statement: Statement) -> exp.Expression | None:
    """The tree of one statement, or None where sqlglot has none to give. Never raises."""
    tokens: Sequence[Token] = statement.tokens
    if len(statement.text) > LONGEST_PARSED:
        tokens = shortened(tokens)
    text = respelled(tokens) if _is_tame(tokens) else None
    if text is None:
        return None
    try:
        trees = _postgres.parse(text, error_level=ErrorLevel.IMMEDIATE)
    except (SqlglotError, RecursionError, ValueError, TypeError, AttributeError, LookupError):
        # The last four are bugs that strange text finds in it.
        return None
    tree = trees[0] if len(trees) == 1 else None
    return tree if isinstance(tree, exp.Expression) and not _gave_up(tree) else None


def complaint(statement: Statement) -> tuple[int, str] | None:
    """Where sqlglot stops, and its words; None where it reads the statement, or cannot say.

    The place is an offset in the text that it is given: see dbopt.sql.respell. Never raises.
    """
    text = respelled(statement.tokens) if _is_tame(statement.tokens) else None
    try:
        _postgres.parse(text or "", error_level=ErrorLevel.IMMEDIATE)
    except ParseError as error:
        first = error.errors[0] if error.errors else {}
        lines = (text or "").split("\n")
        before = sum(len(line) + 1 for line in lines[: int(first.get("line") or 1) - 1])
        column = int(first.get("col") or 1) - len(str(first.get("highlight") or ""))
        return before + max(0, column), str(first.get("description") or "")
    except (SqlglotError, RecursionError, ValueError, TypeError, AttributeError, LookupError):
        return None
    return None


def _is_tame(tokens: Sequence[Token]) -> bool:
    texts = [token.text for token in tokens]
    return (
        len(texts) <= MOST_TOKENS
        and sum(map(len, texts)) <= LONGEST_PARSED
        and nesting(tokens) <= DEEPEST_PARSED
        and sum(pair in _LINKS for pair in pairwise(texts)) <= _MOST_LINKS
    )


def nesting(tokens: Sequence[Token]) -> int:
    """How many brackets and CASEs are open at once, at most."""
    depth = deepest = 0
    for token in tokens:
        if token.lexeme is Lexeme.PUNCT:
            depth += _step(token)
        elif token.lexeme is Lexeme.WORD and len(token.text) <= 4:
            depth += _CASES.get(token.text.lower(), 0)
        deepest = max(deepest, depth)
    return deepest


_CASES = {"case": 1, "end": -1}


def _step(token: Token) -> int:
    if token.text in {"(", "["}:
        return 1
    return -1 if token.text in {")", "]"} else 0


def _statement(text: str, tokens: list[Token]) -> Statement:
    last = tokens[-1]
    return Statement(text[tokens[0].start : last.start + len(last.text)], tuple(tokens))


def _gave_up(tree: exp.Expression) -> bool:
    return isinstance(tree, exp.Command | exp.Alias | exp.Column)
