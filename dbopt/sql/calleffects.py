"""What the functions that a statement calls do to the session.

Source: PostgreSQL 18 documentation, 9.28 System Administration Functions.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from dbopt.sql.lexer import Lexeme, Token
from dbopt.sql.outline import MOST_MARKS, Span
from dbopt.sql.reader import code_between, string_value
from dbopt.sql.sessioneffect import Effect, SessionStatement
from dbopt.sql.settingeffects import PER_TRANSACTION, ROLES, setting_name

CALLS: dict[str, Effect] = {
    "set_config": Effect.SET_CONFIG,
    "pg_advisory_lock": Effect.ADVISORY,
    "pg_advisory_lock_shared": Effect.ADVISORY,
    "pg_try_advisory_lock": Effect.ADVISORY,
    "pg_try_advisory_lock_shared": Effect.ADVISORY,
    "pg_advisory_unlock": Effect.ADVISORY_UNLOCK,
    "pg_advisory_unlock_shared": Effect.ADVISORY_UNLOCK,
    "pg_advisory_unlock_all": Effect.ADVISORY_UNLOCK,
    # What DISCARD ALL leaves behind: connections, seeds, origins, slots, backups.
    "dblink_connect": Effect.STATEFUL_CALL,
    "dblink_connect_u": Effect.STATEFUL_CALL,
    "setseed": Effect.STATEFUL_CALL,
    "set_limit": Effect.STATEFUL_CALL,
    "pg_replication_origin_session_setup": Effect.STATEFUL_CALL,
    "pg_create_logical_replication_slot": Effect.STATEFUL_CALL,
    "pg_create_physical_replication_slot": Effect.STATEFUL_CALL,
    "pg_copy_logical_replication_slot": Effect.STATEFUL_CALL,
    "pg_copy_physical_replication_slot": Effect.STATEFUL_CALL,
    "pg_backup_start": Effect.STATEFUL_CALL,
    "pg_start_backup": Effect.STATEFUL_CALL,
}
"""Functions whose effect outlives the transaction, by their names without a schema."""

_TRUE = frozenset({"true", "tru", "tr", "t", "yes", "ye", "y", "on", "1"})
_MOST_TOKENS = 64
"""Of a call: a longer one is taken as the worst that it may be. It keeps hostile texts linear."""


def call_effects(text: str, span: Span) -> Iterator[SessionStatement]:
    """An entry for each distinct effect of the calls among the span's marks."""
    found: set[tuple[Effect, tuple[str, ...]]] = set()
    for word in CALLS.keys() & span.marks.keys():
        effect, marks = CALLS[word], span.marks[word]
        if len(marks) >= MOST_MARKS:
            found.add((effect, ()))
        elif effect is Effect.SET_CONFIG:
            found |= {each for mark in marks for each in _set_config(text, mark.end, span.end)}
        elif any(_is_call(text, mark.end, span.end) for mark in marks):
            found.add((effect, ()))
    for effect, names in sorted(found, key=lambda one: (one[0].value, one[1])):
        yield SessionStatement(effect, span.start, span.end, names)


def _is_call(text: str, at: int, end: int) -> bool:
    token = next(code_between(text, at, end), None)
    return token is not None and token.text == "("


def _set_config(text: str, at: int, end: int) -> set[tuple[Effect, tuple[str, ...]]]:
    """What a set_config whose name ends at an offset does; nothing if it is no call."""
    if not _is_call(text, at, end):
        return set()
    arguments = _arguments(islice(code_between(text, at, end), _MOST_TOKENS))
    name = _setting(arguments[0]) if arguments else None
    names = () if name is None else (name,)
    if (len(arguments) == 3 and _is_true(arguments[2])) or name in PER_TRANSACTION:
        return {(Effect.SET_LOCAL, names)}
    return {(Effect.SET_ROLE if name in ROLES else Effect.SET_CONFIG, names)}


def _arguments(call: Iterator[Token]) -> list[list[Token]]:
    """The arguments of a call from its opening parenthesis on; [] if it does not end in time."""
    found: list[list[Token]] = [[]]
    depth = 0
    for token in call:
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(token.text, 0)
        if depth == 0:
            return found
        if token.text == "," and depth == 1:
            found.append([])
        elif depth > 1 or token.text != "(" or found[-1]:
            found[-1].append(token)
    return []


def _setting(argument: list[Token]) -> str | None:
    """The setting that the first argument names, None if it is no plain constant."""
    texts = [token.text.lower() for token in argument[1:]]
    if not argument or texts not in ([], ["::", "text"]):
        return None
    value = string_value(argument[0])
    return None if value is None else setting_name(value)


def _is_true(argument: list[Token]) -> bool:
    if len(argument) != 1:
        return False
    token = argument[0]
    if token.lexeme is Lexeme.WORD:
        return token.text.lower() == "true"
    return (string_value(token) or "").strip().lower() in _TRUE
