"""The functions that a statement calls, by its tokens: no tree hides one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from sqlglot import exp

from dbopt.sql.callwords import (
    BEFORE_EXPRESSIONS,
    COL_NAMES,
    GRAMMAR_AFTER,
    INFIX,
    RESERVED,
    VALUES,
)
from dbopt.sql.lexer import LITERALS, Lexeme, Token, unquote

Call = tuple[str, str]
"""Schema ("" where none is named) and name of a function, both folded."""

_NAMES = frozenset({Lexeme.WORD, Lexeme.NAME})
_OPERANDS = LITERALS | {Lexeme.PARAM, Lexeme.NAME}


def calls(tokens: Sequence[Token], nodes: Iterable[exp.Expr] = ()) -> list[Call]:
    """Every function that is called by its name, once each.

    An operator of a named schema counts as one. What a plain operator, a cast, a view or `x.f`
    (for f(x)) calls cannot be told from a text. `nodes` are the tree's, if there is one: they tell
    `x (a, b)` with names of columns from a call; without them it is taken for one.
    """
    maybe: Counter[Call] = Counter()
    named: Counter[str] = Counter()
    valued: list[Call] = []
    behind = _behind_lists(tokens)
    for at, token in enumerate(tokens):
        if token.text == "(" and at and tokens[at - 1].lexeme in _NAMES:
            call = _call(tokens, at - 1)
            if call is None:
                continue
            if _names_columns(tokens, at - 1, behind):
                named[call[1]] += 1
            else:
                maybe[call] += 1
        elif token.lexeme is Lexeme.WORD and token.text.lower() in VALUES:
            valued += _value(tokens, at)
    for name, times in _named_by(nodes).items():
        maybe["", name] -= max(times - named[name], 0)
    found = [call for call, times in maybe.items() if times > 0]
    return [*found, *dict.fromkeys(valued)]


def _call(tokens: Sequence[Token], at: int) -> Call | None:
    """What is called if a parenthesis follows this name; None where that is grammar."""
    token, before = tokens[at], tokens[at - 1] if at else None
    name = unquote(token.text)
    if before is not None and before.text == ".":
        schema = tokens[at - 2] if at > 1 and tokens[at - 2].lexeme in _NAMES else None
        return (unquote(schema.text) if schema else "", name)
    if token.lexeme is Lexeme.NAME:
        return ("", name)
    if name == "operator":
        return _operator(tokens, at + 2)
    if name == "materialized" and _in_with(tokens, at):
        return None
    word = before.text.lower() if before is not None else ""
    if name in RESERVED or name in COL_NAMES or word in GRAMMAR_AFTER.get(name, ()):
        return None
    infix = name in INFIX and before is not None and before.lexeme is Lexeme.WORD
    if infix and word not in RESERVED and word not in BEFORE_EXPRESSIONS:
        return None
    return ("", name)


def _in_with(tokens: Sequence[Token], at: int) -> bool:
    """Whether this is the MATERIALIZED of `with x as not materialized (`."""
    words = [token.text.lower() for token in tokens[max(at - 2, 0) : at]]
    return words[-1:] == ["as"] or words == ["as", "not"]


def _names_columns(tokens: Sequence[Token], at: int, behind: frozenset[int]) -> bool:
    """Whether this name cannot be called where it stands: after AS, `::`, INTO or an operand."""
    if at == 0:
        return False
    before = tokens[at - 1]
    if before.lexeme in _OPERANDS or before.text in {")", "]"}:
        return at - 1 not in behind
    return before.lexeme is not Lexeme.NAME and before.text.lower() in {"as", "::", "into"}


def _behind_lists(tokens: Sequence[Token]) -> frozenset[int]:
    """The closing parentheses that an expression may follow: OPERATOR (...), DISTINCT ON (...)."""
    found: set[int] = set()
    opened: list[bool] = []
    for at, token in enumerate(tokens):
        if token.text == "(":
            words = [one.text.lower() for one in tokens[max(at - 2, 0) : at]]
            opened.append(words[-1:] == ["operator"] or words == ["distinct", "on"])
        elif token.text == ")" and opened and opened.pop():
            found.add(at)
    return frozenset(found)


def _operator(tokens: Sequence[Token], at: int) -> Call | None:
    """`operator(schema.+)`, if it is not PostgreSQL's own; a function may have that name too."""
    inside = tokens[at : at + 6]
    names = [token for token in inside if token.lexeme in _NAMES]
    sign = next((t.text for t in inside if t.lexeme is Lexeme.OPERATOR), "")
    if not sign:
        return ("", "operator")
    schema = unquote(names[0].text) if names and inside[0] is names[0] else ""
    return None if schema in {"", "pg_catalog"} else (schema, sign)


def _value(tokens: Sequence[Token], at: int) -> list[Call]:
    """A function that SQL calls without parentheses."""
    if at and tokens[at - 1].text == ".":
        return []
    word = tokens[at].text.lower()
    following = tokens[at + 1].text if at + 1 < len(tokens) else ""
    return [] if following == "(" and word not in RESERVED else [("", word)]


def _named_by(nodes: Iterable[exp.Expr]) -> Counter[str]:
    """What is written like a call: `with x (a)`, `from y z (b)`, `group by cube (c)`."""
    found: Counter[str] = Counter()
    for node in nodes:
        if isinstance(node, exp.TableAlias):
            if node.args.get("columns") and isinstance(node.this, exp.Identifier):
                name = str(node.this.this)
                found[name if node.this.args.get("quoted") else unquote(name)] += 1
        elif isinstance(node, exp.Cube | exp.Rollup):
            found["cube" if isinstance(node, exp.Cube) else "rollup"] += 1
    return found
