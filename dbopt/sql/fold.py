"""Folding of a canonical token list: what differs by constants only becomes the same.

pg_stat_statements replaces the constants of a parse tree, so its text has `$1` where the client
wrote `-5`, `NULL`, `true`, `ALL` after LIMIT or the field of EXTRACT, and since PostgreSQL 18 one
constant for a list. The same folds here make both texts one.

Every scan stops at the next word that is no constant, so the work is linear in the tokens.
"""

from __future__ import annotations

from bisect import bisect_left
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
_PLAIN_LIST = frozenset({PLACEHOLDER, ",", "-", *_CONSTANT_WORDS})
_SIGNED = _CONSTANTS | {"-"}
_OPERANDS = frozenset({")", "]", PLACEHOLDER})
_TYPE_WORDS = {
    "precision": frozenset({"double"}),
    "varying": frozenset({"character", "char", "bit"}),
    "with": frozenset({"timestamp", "time"}),
    "without": frozenset({"timestamp", "time"}),
    "time": frozenset({"with", "without"}),
    "zone": frozenset({"time"}),
}
"""The words that follow others in a type's name, and those others."""
_BEFORE_TYPES = frozenset({"::", ".", "as"})
_CASTS = frozenset({"as", "cast"})
_NEAR = 32
"""Tokens that are searched at once, in C; the bound keeps the work linear."""
_OPENING = {"(": ")", "[": "]"}


def _is_operand(token: str) -> bool:
    """Whether a minus after this word subtracts."""
    return (token[0].isalpha() or token[0] in '_"') and token not in _NOT_OPERANDS


def _minus(tokens: list[str], at: int, out: list[str]) -> int:
    stop, end = at + 1, len(tokens)
    while stop < end and tokens[stop] == "-":
        stop += 1
    if stop == end or tokens[stop] not in _CONSTANTS:
        out += tokens[at:stop]
    elif out and (out[-1] in _OPERANDS or _is_operand(out[-1])):
        out.append("-")
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


def _escape(tokens: list[str], at: int, out: list[str]) -> int:
    """`U&'...' uescape '!'` is one constant."""
    escaped = bool(out) and out[-1] == PLACEHOLDER and tokens[at + 1 : at + 2] == [PLACEHOLDER]
    if not escaped:
        out.append(tokens[at])
    return at + 1 + escaped


def _constant_at(tokens: list[str], at: int) -> bool:
    """Whether this token can be part of a constant: `?`, `date ?`, `? :: numeric ( ? )`."""
    token, before = tokens[at], tokens[at - 1]
    if token in _LIST_TOKENS or token in _CONSTANT_WORDS:
        return True
    if token in _HANDLED:
        return False
    if before in _BEFORE_TYPES or before in _TYPE_WORDS.get(token, ()):
        return True
    after = tokens[at + 1] if at + 1 < len(tokens) else ""
    if token in _CASTS:
        return True
    typed = after == PLACEHOLDER and token.isidentifier()
    return (typed and token not in _NOT_OPERANDS) or token in _TYPE_WORDS.get(after, ())


def _flat_end(tokens: list[str], start: int) -> int:
    """Where the parenthesis at `start` closes, if it is near and holds no other, else -1."""
    near = tokens[start + 1 : start + _NEAR]
    if ")" not in near:
        return -1
    length = near.index(")")
    return -1 if "(" in near[:length] else start + 1 + length


def _plain_end(tokens: list[str], at: int) -> int:
    """The first token from `at` on that is no plain constant, sign or comma."""
    size = 4
    while chunk := tokens[at : at + size]:
        if not _PLAIN_LIST.issuperset(chunk):
            while tokens[at] in _PLAIN_LIST:
                at += 1
            return at
        at += size
        size += size
    return len(tokens)


def _constants_end(tokens: list[str], start: int) -> int:
    """Where the bracket at `start` closes if it holds constants alone, else -1."""
    plain = _plain_end(tokens, start + 1)
    if plain == len(tokens):
        return -1
    found = not _CONSTANTS.isdisjoint(tokens[start + 1 : plain])
    if tokens[plain] == _OPENING[tokens[start]]:
        return plain if found else -1
    depth = 1
    for at in range(plain, len(tokens)):
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
    """`in ( ... )` of constants becomes a list of one."""
    out.append(tokens[at])
    if tokens[at + 1] != "(" or tokens[at + 2] in _NO_CONSTANTS:
        return at + 1
    end = _constants_end(tokens, at + 1)
    if end < 0:
        return at + 1
    out += ("(", PLACEHOLDER, ")")
    return end + 1


def _array(tokens: list[str], at: int, out: list[str]) -> int:
    """`array [ ... ]` of constants becomes a list of one, and so does each list in it."""
    out.append(tokens[at])
    at += 1
    while tokens[at : at + 1] == ["["]:
        inner = tokens[at + 1 : at + 2] == ["["]
        end = -1 if inner else _constants_end(tokens, at)
        if end < 0:
            out.append("[")
            at += 1
            continue
        out += ("[", PLACEHOLDER, "]")
        at = end + 1
        while at < len(tokens) and tokens[at] == "]":
            out.append("]")
            at += 1
        if tokens[at : at + 2] == [",", "["]:
            out.append(",")
            at += 1
    return at


_HANDLERS: dict[str, Callable[[list[str], int, list[str]], int]] = {
    "-": _minus,
    "null": _constant_word,
    "true": _constant_word,
    "false": _constant_word,
    "all": _all,
    "extract": _extract,
    "in": _constant_list,
    "array": _array,
    "uescape": _escape,
}

_COMMANDS = frozenset({"set", "savepoint", "release", "rollback", "deallocate"})
_MARK_WORDS = frozenset({"savepoint", "prepare", "work", "transaction", "to"})
_HANDLED = frozenset(_HANDLERS)
_FOLDED = _HANDLED | {"values"}
_NO_CONSTANTS = _HANDLED - _SIGNED


def needless(tokens: list[str]) -> bool:
    """Whether these tokens hold nothing that `fold` would change."""
    return _FOLDED.isdisjoint(tokens) and not (tokens and tokens[0] in _COMMANDS)


def fold(tokens: list[str]) -> list[str]:
    """The same tokens with signs, constant words, constant lists and VALUES rows folded.

    And what a first SET, SAVEPOINT, RELEASE, ROLLBACK TO or DEALLOCATE names. What lies between
    two tokens that may be folded is copied at once.
    """
    if tokens and tokens[0] in _COMMANDS:
        tokens = _command(tokens)
    out: list[str] = []
    done = 0
    if not _HANDLED.isdisjoint(tokens):
        tokens = [*tokens, "", ""]
        places = [at for at, token in enumerate(tokens) if token in _HANDLERS]
        index, last = 0, len(places)
        while index < last:
            at = places[index]
            index += 1
            if tokens[at] == "-" and tokens[at + 1] not in _SIGNED:
                continue
            if at > done:
                out += tokens[done:at]
            done = _HANDLERS[tokens[at]](tokens, at, out)
            if index < last and places[index] < done:
                index = bisect_left(places, done, index)
        del tokens[-2:]
    out += tokens[done:]
    return _fold_rows(out) if "values" in out else out


def _command(tokens: list[str]) -> list[str]:
    """The tokens with `?` for what the first statement sets, or the name that it marks."""
    end = tokens.index(";") if ";" in tokens else len(tokens)
    start = (_value if tokens[0] == "set" else _mark)(tokens, end)
    if start >= end or tokens[start:end] in (["default"], ["all"]):
        return tokens
    named = tokens[:start]
    if named[0] == "set" and named[-1] == "to":
        named[-1] = "="
    return [*named, PLACEHOLDER, *tokens[end:]]


def _value(tokens: list[str], end: int) -> int:
    """Where the value of `set name = value` starts: a word or a list of words; else `end`."""
    named = 2 if tokens[1:2] in (["session"], ["local"]) else 1
    if tokens[named : named + 1] == ["role"]:
        return named + 1
    return next((at + 1 for at in range(named, end) if tokens[at] in {"=", "to"}), end)


def _mark(tokens: list[str], end: int) -> int:
    """Where the name of a savepoint or prepared statement is, which drivers number; else `end`."""
    to = tokens[0] != "rollback" or "to" in tokens[1:end]
    return end - 1 if to and 1 < end <= 5 and _MARK_WORDS.issuperset(tokens[1 : end - 1]) else end


def _fold_rows(tokens: list[str]) -> list[str]:
    """Of the equal rows that follow one another after VALUES, one stays."""
    out: list[str] = []
    done = 0
    for at in [at for at, word in enumerate(tokens) if word == "values"]:
        if at >= done:
            out += tokens[done : at + 1]
            done = _rows(tokens, at + 1, out)
    out += tokens[done:]
    return out


def _rows(tokens: list[str], at: int, out: list[str]) -> int:
    last: list[str] = []
    start, stop = at, _row_end(tokens, at)
    while stop > 0:
        row = tokens[start:stop]
        if row != last:
            out += [",", *row] if last else row
        last, at = row, _repeated([",", *row], tokens, stop)
        start = at + 1
        stop = _row_end(tokens, start) if tokens[at : at + 1] == [","] else -1
    return at


def _repeated(row: list[str], tokens: list[str], at: int) -> int:
    """One past the last of the equal rows that follow at `at`; compared in C, ever more at once."""
    while tokens[at : at + len(row)] == row:
        several = row
        while tokens[at : at + len(several)] == several:
            at += len(several)
            several = several + several
    return at


def _row_end(tokens: list[str], start: int) -> int:
    """One past the parenthesis that closes the row at `start`, or -1 where there is no row."""
    if tokens[start : start + 1] != ["("]:
        return -1
    end = _flat_end(tokens, start)
    if end > start and "values" not in tokens[start:end]:
        return end + 1
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
