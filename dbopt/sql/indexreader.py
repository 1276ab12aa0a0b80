"""Reads one CREATE INDEX statement by its tokens: PostgreSQL 18's grammar, which sqlglot's is not.

Source: PostgreSQL 18 documentation, SQL Commands, CREATE INDEX.
"""

from __future__ import annotations

from typing import NoReturn

from dbopt.errors import DeclarationError
from dbopt.sql.indexdef import (
    IndexDefinition,
    IndexKey,
    is_reserved,
    parameters_sql,
    qualified,
)
from dbopt.sql.lexer import LITERALS, Lexeme, Token, code, unquote
from dbopt.sql.split import position

_AFTER_KEYS = frozenset({"collate", "asc", "desc", "nulls"})
_NAMES = frozenset({Lexeme.WORD, Lexeme.NAME})


def read_index(sql: str, line: int = 1, column: int = 1) -> IndexDefinition:
    """See `dbopt.sql.indexdef.parse_index`."""
    return _Reader(sql, line, column).index()


class _Reader:
    """A place in the tokens of one statement."""

    def __init__(self, sql: str, line: int, column: int) -> None:
        self._sql = sql
        self._origin = (line, column)
        self._tokens = code(sql)
        while self._tokens and self._tokens[-1].text == ";":
            self._tokens.pop()
        self._at = 0

    def index(self) -> IndexDefinition:
        self._expect("create")
        unique = self._accept("unique")
        self._expect("index")
        self._accept("concurrently")
        if guarded := self._accept("if", "not", "exists"):
            pass
        name = "" if not guarded and self._next() == "on" else self._name("a name of the index")
        self._expect("on")
        self._accept("only")
        schema, table = self._table()
        method = self._name("an access method") if self._accept("using") else "btree"
        keys = self._keys()
        include = self._include() if self._accept("include") else ()
        not_distinct = self._nulls_not_distinct()
        storage = self._parameters() if self._accept("with") else ()
        tablespace = self._name("a tablespace") if self._accept("tablespace") else ""
        predicate = self._predicate() if self._accept("where") else ""
        self._end()
        return IndexDefinition(
            name=name,
            schema=schema,
            table=table,
            method=method,
            keys=keys,
            include=include,
            predicate=predicate,
            unique=unique,
            nulls_not_distinct=not_distinct,
            storage=storage,
            tablespace=tablespace,
        )

    def _table(self) -> tuple[str, str]:
        first = self._name("a table")
        if not self._accept("."):
            return "", first
        return first, self._name("a table")

    def _keys(self) -> tuple[IndexKey, ...]:
        self._expect("(")
        keys = [self._key()]
        while self._accept(","):
            keys.append(self._key())
        self._expect(")")
        return tuple(keys)

    def _key(self) -> IndexKey:
        expression, is_column = self._key_expression()
        collation = self._qualified("a collation") if self._accept("collate") else ""
        opclass = self._opclass() if self._lexeme() in _NAMES and self._is_opclass() else ""
        descending = self._accept("desc")
        if not descending:
            self._accept("asc")
        nulls_first = descending
        if self._accept("nulls"):
            nulls_first = self._accept("first")
            if not nulls_first:
                self._expect("last")
        return IndexKey(expression, is_column, opclass, collation, descending, nulls_first)

    def _key_expression(self) -> tuple[str, bool]:
        """A column, a call, or an expression in parentheses; `(a)` is the column a."""
        start = self._at
        if self._next() != "(":
            self._dotted("a column or an expression")
            if self._next() != "(":
                if self._at - start > 1:
                    self._fail("a column without its table")
                return unquote(self._tokens[start].text), True
        self._skip_parentheses()
        inside = self._tokens[start : self._at]
        if inside[0].text == "(":
            inside = inside[1:-1]
            if len(inside) == 1 and _is_column(inside[0]):
                return unquote(inside[0].text), True
        if not inside:
            self._fail("an expression")
        return self._source(inside), False

    def _is_opclass(self) -> bool:
        return self._next() not in _AFTER_KEYS

    def _opclass(self) -> str:
        name = self._qualified("an operator class")
        return f"{name} {parameters_sql(self._parameters())}" if self._next() == "(" else name

    def _qualified(self, what: str) -> str:
        parts = self._dotted(what)
        if len(parts) > 2:
            self._fail(what)
        return qualified(parts[0] if len(parts) == 2 else "", parts[-1])

    def _include(self) -> tuple[str, ...]:
        self._expect("(")
        names = [self._name("a column")]
        while self._accept(","):
            names.append(self._name("a column"))
        self._expect(")")
        return tuple(names)

    def _nulls_not_distinct(self) -> bool:
        if not self._accept("nulls"):
            return False
        found = self._accept("not")
        self._expect("distinct")
        return found

    def _parameters(self) -> tuple[tuple[str, str], ...]:
        """Storage parameters, or an operator class's: `(a = 70, b = off, c)`, by name."""
        self._expect("(")
        found = [self._parameter()]
        while self._accept(","):
            found.append(self._parameter())
        self._expect(")")
        return tuple(sorted(found))

    def _parameter(self) -> tuple[str, str]:
        """A name and its value as reloptions has it; a name alone says true."""
        name = self._name("a parameter")
        if not self._accept("="):
            return name, "true"
        sign = "-" if self._accept("-") else ""
        token = self._token()
        if token is None or not _is_value(token):
            self._fail("a name, a number or a string in single quotes")
        self._at += 1
        return name, sign + _value(token)

    def _predicate(self) -> str:
        inside = self._tokens[self._at :]
        if not inside:
            self._fail("a predicate")
        self._at = len(self._tokens)
        while _wrapped(inside):
            inside = inside[1:-1]
        return self._source(inside)

    # --- steps

    def _token(self) -> Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _lexeme(self) -> Lexeme | None:
        token = self._token()
        return token.lexeme if token else None

    def _next(self) -> str:
        token = self._token()
        return token.text.lower() if token else ""

    def _accept(self, *words: str) -> bool:
        following = self._tokens[self._at : self._at + len(words)]
        if tuple(token.text.lower() for token in following) != words:
            return False
        self._at += len(words)
        return True

    def _expect(self, word: str) -> None:
        if not self._accept(word):
            self._fail(word.upper() if word.isalpha() else f'"{word}"')

    def _name(self, what: str) -> str:
        token = self._token()
        if token is None or token.lexeme not in _NAMES:
            self._fail(what)
        self._at += 1
        return unquote(token.text)

    def _dotted(self, what: str) -> list[str]:
        parts = [self._name(what)]
        while self._accept("."):
            parts.append(self._name(what))
        return parts

    def _skip_parentheses(self) -> None:
        depth = 0
        start = self._at
        for at in range(start, len(self._tokens)):
            depth += _step(self._tokens[at])
            if depth == 0:
                self._at = at + 1
                return
        self._fail('a ")" for this "("')

    def _end(self) -> None:
        if self._token() is not None:
            self._fail("the end of the statement")

    def _source(self, tokens: list[Token]) -> str:
        """The text of these tokens on one line, without comments."""
        parts: list[str] = []
        for at, token in enumerate(tokens):
            last = tokens[at - 1]
            if at > 0 and last.start + len(last.text) < token.start:
                parts.append(" ")
            parts.append(token.text)
        return "".join(parts)

    def _fail(self, expected: str) -> NoReturn:
        token = self._token()
        offset = token.start if token else len(self._sql.rstrip())
        line, column = position(self._sql, offset)
        if line == 1:
            column += self._origin[1] - 1
        line += self._origin[0] - 1
        found = _shown(token)
        raise DeclarationError(
            f"Line {line}, column {column}: expected {expected}, found {found}.",
            hint="A declared index is one CREATE INDEX statement.",
        )


def _is_column(token: Token) -> bool:
    """Whether it is a column's name, and not a word that is a value, such as the `true` of a table
    that shall have one row only."""
    return token.lexeme is Lexeme.NAME or (
        token.lexeme is Lexeme.WORD and not is_reserved(token.text.lower())
    )


def _is_value(token: Token) -> bool:
    plain = token.lexeme is Lexeme.STRING and token.text[0] == "'"
    return plain or token.lexeme in {*_NAMES, Lexeme.NUMBER}


def _value(token: Token) -> str:
    text = token.text
    if token.lexeme is Lexeme.STRING:
        return text[1:].removesuffix("'").replace("''", "'")
    return unquote(text) if token.lexeme in _NAMES else text


def _wrapped(tokens: list[Token]) -> bool:
    """Whether the first parenthesis closes at the last token."""
    depth = 0
    for at, token in enumerate(tokens):
        depth += _step(token)
        if depth == 0:
            return at == len(tokens) - 1 and len(tokens) > 2
    return False


def _step(token: Token) -> int:
    return {"(": 1, ")": -1}.get(token.text, 0) if token.lexeme is Lexeme.PUNCT else 0


def _shown(token: Token | None) -> str:
    if token is None:
        return "the end"
    return "a constant" if token.lexeme in LITERALS else f'"{token.text[:40]}"'
