"""The functions that a statement calls, by its tree and, where that hides them, by its tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sqlglot import exp

from dbopt.sql.lexer import Lexeme, Token, unquote
from dbopt.sql.parse import KNOWN_FUNCTIONS

_NAMES = frozenset({Lexeme.WORD, Lexeme.NAME})
# Before a parenthesis they are grammar, not calls; sqlglot knows functions of these names.
_GRAMMAR = frozenset(
    """and any array case collate current_catalog current_date current_role current_time
    current_timestamp filter localtime localtimestamp or session_user variadic""".split()  # noqa: SIM905 - shorter than a list
)
_NAMING = frozenset({"as", "with", "recursive"})
"""What follows these is given a name, with names of columns in parentheses."""


def calls(nodes: Iterable[exp.Expr], tokens: Sequence[Token]) -> Iterator[tuple[str, str]]:
    """Schema ("" where none is named) and name of each function that may be the application's.

    An operator of a named schema counts as a function. What a view, a cast or a plain operator
    calls cannot be told from a text.
    """
    for node in nodes:
        if isinstance(node, exp.Anonymous | exp.AnonymousAggFunc | exp.NextValueFor):
            yield _schema_of(node), unquote(node.name)
        elif isinstance(node, exp.Operator):
            yield from _operator(str(node.args.get("operator")))
        elif isinstance(node, exp.Dot) and isinstance(node.expression, exp.Func):
            schema = _schema_of(node.expression)
            if schema != "pg_catalog" and not isinstance(node.expression, exp.Anonymous):
                yield schema, node.expression.sql_name().lower()
    yield from _misread(tokens)


def _misread(tokens: Sequence[Token]) -> Iterator[tuple[str, str]]:
    """Calls that sqlglot takes for one of its classes, which other servers have, or "Quoted".

    Here `transform(x)` is the application's own, and so is `"Lower"(x)`.
    """
    for at, token in enumerate(tokens[1:]):
        named = tokens[at]
        if token.text != "(" or named.lexeme not in _NAMES:
            continue
        name, before = unquote(named.text), tokens[at - 1].text.lower() if at else ""
        known = name in KNOWN_FUNCTIONS and name not in _GRAMMAR
        if (known or named.lexeme is Lexeme.NAME) and before not in {".", *_NAMING}:
            yield "", name


def _operator(qualified: str) -> Iterator[tuple[str, str]]:
    schema, _, name = qualified.rpartition(".")
    if schema and unquote(schema) != "pg_catalog":
        yield unquote(schema), name


def _schema_of(function: exp.Expr) -> str:
    parent = function.parent
    if isinstance(parent, exp.Dot) and parent.expression is function:
        return unquote(parent.this.name)
    if isinstance(parent, exp.Table) and isinstance(parent.args.get("db"), exp.Identifier):
        return unquote(parent.args["db"].name)
    return ""
