"""Folding of a canonical token list: what differs by constants only becomes the same.

pg_stat_statements replaces the constants of a parse tree, so its text has `$1` where the client
wrote `-5`, `NULL`, `true`, `ALL` after LIMIT or the field of EXTRACT, and since PostgreSQL 18 one
constant for a list. The same folds here make both texts one.

Every scan stops at the next word that is no constant, so the work is linear in the tokens.
"""

from __future__ import annotations

from collections.abc import Callable

PLACEHOLDER = "?"

_NOT_OPERANDS = frozenset(
    [
        "all",
        "and",
        "any",
        "array",
        "as",
        "between",
        "both",
        "by",
        "case",
        "check",
        "default",
        "desc",
        "asc",
        "distinct",
        "do",
        "else",
        "escape",
        "excluded",
        "filter",
        "first",
        "for",
        "from",
        "full",
        "group",
        "having",
        "if",
        "ilike",
        "in",
        "inner",
        "interval",
        "into",
        "is",
        "join",
        "key",
        "last",
        "leading",
        "left",
        "like",
        "limit",
        "natural",
        "next",
        "not",
        "notnull",
        "nulls",
        "of",
        "offset",
        "on",
        "only",
        "or",
        "order",
        "over",
        "partition",
        "range",
        "returning",
        "right",
        "row",
        "rows",
        "select",
        "set",
        "similar",
        "some",
        "symmetric",
        "then",
        "to",
        "trailing",
        "union",
        "using",
        "values",
        "when",
        "where",
        "window",
        "with",
    ]
)
"""Words after which a sign belongs to the number that follows."""

_LIST_TOKENS = frozenset({PLACEHOLDER, ",", "(", ")", "[", "]", "-", "::", "."})
_CONSTANT_WORDS = frozenset({"null", "true", "false"})
_CONSTANTS = _CONSTANT_WORDS | {PLACEHOLDER}
_OPENING = {"(": ")", "[": "]"}


def _is_operand(token: str) -> bool:
    """Whether a minus after this token subtracts."""
    if token[0].isalpha() or token[0] in '_"':
        return token not in _NOT_OPERANDS
    return token in {")", "]", PLACEHOLDER}


def _minus(tokens: list[str], at: int, out: list[str]) -> int:
    stop = at
    while stop < len(tokens) and tokens[stop] == "-":
        stop += 1
    signed = stop < len(tokens) and tokens[stop] in _CONSTANTS
    if signed and out and _is_operand(out[-1]):
        out.append("-")
    elif not signed:
        out.extend(tokens[at:stop])
    return stop


def _constant_word(tokens: list[str], at: int, out: list[str]) -> int:
    tested = bool(out) and out[-1] in {"is", "not"}
    out.append(tokens[at] if tested else PLACEHOLDER)
    return at + 1


def _all(tokens: list[str], at: int, out: list[str]) -> int:
    out.append(PLACEHOLDER if out and out[-1] == "limit" else tokens[at])
    return at + 1


def _extract(tokens: list[str], at: int, out: list[str]) -> int:
    out.append(tokens[at])
    if tokens[at + 1 : at + 2] != ["("] or tokens[at + 3 : at + 4] != ["from"]:
        return at + 1
    out.extend(("(", PLACEHOLDER))
    return at + 3


def _constant_at(tokens: list[str], at: int) -> bool:
    """Whether this token can be part of a constant: `?`, `date ?`, `? :: numeric ( ? )`."""
    token = tokens[at]
    if token in _LIST_TOKENS or token in _CONSTANT_WORDS:
        return True
    if tokens[at - 1] in {"::", "."}:
        return True
    typed = tokens[at + 1 : at + 2] == [PLACEHOLDER] and token.isidentifier()
    return typed and token not in _NOT_OPERANDS


def _constants_end(tokens: list[str], start: int) -> int:
    """Where the bracket at `start` closes if it holds constants alone, else -1."""
    depth, found = 0, False
    for at in range(start, len(tokens)):
        token = tokens[at]
        if token in _OPENING:
            depth += 1
        elif token in {")", "]"}:
            depth -= 1
            if depth == 0:
                return at if found else -1
        elif not _constant_at(tokens, at):
            return -1
        found = found or token in _CONSTANTS
    return -1


def _constant_list(tokens: list[str], at: int, out: list[str]) -> int:
    """`in ( ... )` and `array [ ... ]` of constants become lists of one."""
    out.append(tokens[at])
    opening = "".join(tokens[at + 1 : at + 2])
    if opening != ("[" if tokens[at] == "array" else "("):
        return at + 1
    end = _constants_end(tokens, at + 1)
    if end < 0:
        return at + 1
    out.extend((opening, PLACEHOLDER, _OPENING[opening]))
    return end + 1


_HANDLERS: dict[str, Callable[[list[str], int, list[str]], int]] = {
    "-": _minus,
    "null": _constant_word,
    "true": _constant_word,
    "false": _constant_word,
    "all": _all,
    "extract": _extract,
    "in": _constant_list,
    "array": _constant_list,
}

needless = frozenset({*_HANDLERS, "values"}).isdisjoint
"""Whether these tokens hold nothing that `fold` would change."""


def fold(tokens: list[str]) -> list[str]:
    """The same tokens with signs, constant words, constant lists and VALUES rows folded."""
    out: list[str] = []
    at, end = 0, len(tokens)
    while at < end:
        handler = _HANDLERS.get(tokens[at])
        if handler is None:
            out.append(tokens[at])
            at += 1
        else:
            at = handler(tokens, at, out)
    return _fold_rows(out) if "values" in out else out


def _fold_rows(tokens: list[str]) -> list[str]:
    """Of the equal rows that follow one another after VALUES, one stays."""
    out: list[str] = []
    at = 0
    while at < len(tokens):
        out.append(tokens[at])
        at += 1
        if out[-1] == "values":
            at = _rows(tokens, at, out)
    return out


def _rows(tokens: list[str], at: int, out: list[str]) -> int:
    last: list[str] = []
    while (stop := _row_end(tokens, at)) > at:
        row = tokens[at:stop]
        if row != last:
            out.extend([",", *row] if last else row)
        last, at = row, stop
        if tokens[at : at + 1] != [","] or _row_end(tokens, at + 1) < 0:
            break
        at += 1
    return at


def _row_end(tokens: list[str], start: int) -> int:
    """One past the parenthesis that closes the row at `start`, or -1 where there is no row."""
    if tokens[start : start + 1] != ["("]:
        return -1
    depth = 0
    for at in range(start, len(tokens)):
        part = tokens[at]
        if part == "(":
            depth += 1
        elif part == ")":
            depth -= 1
            if depth == 0:
                return at + 1
        elif part == "values":
            return -1
    return -1
