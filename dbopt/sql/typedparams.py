"""`interval $1` is no SQL: only a constant may follow a type's name. `$1::interval` is."""

from __future__ import annotations

from dbopt.sql.lexer import Lexeme, Token, tokens

_TYPES = frozenset({"date", "interval", "time", "timestamp", "timestamptz", "timetz"})
"""Types that people write before a constant (docs: 4.1.2.7 Constants of Other Types)."""


def cast_typed_parameters(text: str) -> str:
    """The text of a redacted statement, or of pg_stat_statements, so that it can be explained."""
    parts: list[str] = []
    held: list[Token] = []
    for token in tokens(text):
        if held and token.lexeme is Lexeme.PARAM:
            parts.append(f"{token.text}::{held[0].text}")
            held = []
        elif held and token.lexeme is Lexeme.SPACE:
            held.append(token)
        else:
            parts += [kept.text for kept in held]
            held = []
            if token.lexeme is Lexeme.WORD and token.text.lower() in _TYPES:
                held = [token]
            else:
                parts.append(token.text)
    return "".join(parts + [kept.text for kept in held])
