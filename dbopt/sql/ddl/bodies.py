"""The code in a string, of DO, of a function and of EXECUTE, as statements with their places.

Source: PostgreSQL 18 documentation, 41 PL/pgSQL: Structure, Control Structures, and DO.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from dbopt.sql.ddl.cursor import Cursor
from dbopt.sql.ddl.elements import Span
from dbopt.sql.lexer import Lexeme, Token, code, unquote
from dbopt.sql.parse import Statement, split

PLPGSQL, SQL = "plpgsql", "sql"
_UP_TO = {
    **dict.fromkeys(("if", "elsif", "elseif", "case", "when"), "then"),
    **dict.fromkeys(("while", "for", "foreach"), "loop"),
}
"""What begins a control structure → the word behind which its statements start."""
_ALONE = ("begin", "else", "loop", "exception")
"""Words behind which a statement starts at once."""
_TRIGGERS = frozenset({"trigger", "event_trigger"})
"""What a function returns that no statement can call: a table may have its name."""


class Body(NamedTuple):
    """The string that code stands in, with its quotes, and the code alone."""

    language: str
    quoted: Span
    inner: Span

    @property
    def quotes(self) -> tuple[Span, Span]:
        """The places of its two quotes."""
        return (
            Span(self.quoted.start, self.inner.start),
            Span(self.inner.end, self.quoted.end),
        )


def body_in(tokens: Sequence[Token]) -> Body | None:
    """The body in DO, CREATE FUNCTION and CREATE PROCEDURE; None where nobody can read it, or, of
    a trigger's function, call it."""
    does = tokens[0].text.lower() == "do"
    language, string = PLPGSQL if does else SQL, None
    for before, token in pairwise(tokens):
        word = before.text.lower()
        if word == "returns" and token.text.lower() in _TRIGGERS:
            return None
        if word == "language":
            language = unquote(token.text.strip("'"))
        elif token.lexeme is Lexeme.STRING and string is None and (does or word == "as"):
            string = token
    return body_of(string, language) if string is not None else None


def body_of(string: Token, language: str) -> Body | None:
    """What a constant holds, where each of its characters stands for itself."""
    text, start = string.text, string.start
    mark = text[: text.index("$", 1) + 1] if text[0] == "$" else "'"
    inner = Span(start + len(mark), start + len(text) - len(mark))
    closed = text.endswith(mark) and inner.start <= inner.end
    plain = mark != "'" or (text[0] == "'" and "'" not in text[1:-1])
    if language not in {PLPGSQL, SQL} or not (closed and plain):
        return None
    return Body(language, Span(start, start + len(text)), inner)


def statements_in(text: str, body: Body) -> list[Statement] | None:
    """The statements of a body, with their places in the whole text, control structures left out.

    Conditions and declarations are left out too, and what no path runs is not known: each
    statement is given once. None for what is no block of PL/pgSQL. Linear in the body.
    """
    part, shift = text[body.inner.start : body.inner.end], body.inner.start
    if body.language == SQL:
        return [Statement(one.text, _moved(one.tokens, shift)) for one in split(part)]
    return _block(text, _moved(code(part), shift))


def _moved(tokens: Sequence[Token], shift: int) -> tuple[Token, ...]:
    return tuple(Token(one.lexeme, one.text, one.start + shift) for one in tokens)


def _block(text: str, tokens: tuple[Token, ...]) -> list[Statement] | None:
    cursor = Cursor(tokens)
    found: list[Statement] = []
    declaring = ended = False
    while cursor.accept("#"):  # an option, as `#variable_conflict use_column`
        cursor = cursor.back(cursor.mark() + 2)
    while not cursor.done:
        if cursor.accept("<<"):
            cursor.skip_to(">>")
            cursor.accept(">>")
            continue
        if ended := cursor.accept("end"):
            _pass_end(cursor)
        elif declaring and cursor.word() != "begin":
            _segment(cursor)
        elif cursor.any_of(*_ALONE):
            declaring = False
        elif cursor.accept("declare"):
            declaring = True
        elif head := cursor.any_of(*_UP_TO):
            found += _written(text, tokens, _head(cursor, tokens, head))
        else:
            found += _written(text, tokens, _segment(cursor))
    return found if ended else None


def _pass_end(cursor: Cursor) -> None:
    """Passes over `END CASE;` token by token: that CASE opens nothing."""
    while not cursor.done and cursor.next().text != ";":
        pass


def _segment(cursor: Cursor) -> range:
    """The tokens up to the next semicolon, which is passed over."""
    start = cursor.mark()
    cursor.skip_to(";")
    found = range(start, cursor.mark())
    cursor.accept(";")
    return found


def _head(cursor: Cursor, tokens: tuple[Token, ...], word: str) -> range:
    """Passes over a head; the query of FOR ... IN query LOOP is given."""
    start = cursor.mark()
    cursor.skip_to(_UP_TO[word])
    query = Cursor(tokens, start, cursor.mark())
    cursor.accept(_UP_TO[word])
    asks = word == "for" and query.skip_to("in") and query.word(1) in _QUERIES
    return range(query.mark() + 1, cursor.mark() - 1) if asks else range(0)


_QUERIES = frozenset({"select", "with", "execute", "insert", "update", "delete", "merge"})


def _written(text: str, tokens: tuple[Token, ...], at: range) -> Iterator[Statement]:
    chosen = tokens[at.start : at.stop]
    if chosen:
        end = chosen[-1].start + len(chosen[-1].text)
        yield Statement(text[chosen[0].start : end], chosen)
