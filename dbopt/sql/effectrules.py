"""What a statement does to its session, told by the words that it begins with.

Source: PostgreSQL 18's src/backend/parser/gram.y, whose rules the functions here follow.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from dbopt.sql.calleffects import CALLS
from dbopt.sql.effectentry import Statement
from dbopt.sql.outline import TEMP_SCHEMA, Outliner
from dbopt.sql.sessioneffect import Effect, SessionStatement
from dbopt.sql.settingeffects import reset_effects, set_effects
from dbopt.sql.tempeffects import create_effects, explain_effects, into_effects

# INTO is of interest before TEMP, LOCAL TEMP and names of the temporary schema: before another
# word, as in INSERT INTO t, it is not marked. What cannot be told here is marked.
_INTO = r"into(?![ \t\n\r\f\v]++(?!temp|local|global|pg_temp|u&|[-/\"]))"
OUTLINER = Outliner(frozenset(CALLS), _INTO, "as|commit")
"""Marks what the rules look for behind a statement's first words."""

_MOST_WORDS = 16

# Not drop, close and the like: they clean. Whoever writes escapes or another language than
# PL/pgSQL can say each word without writing it.
_DIRTY_WORDS = (
    "set|reset|discard|(?:un)?listen|prepare|execute|deallocate|temp|temporary|hold|load|"
    + "|".join(CALLS)
)
_NO_LETTER = r"A-Za-z0-9_$\x80-\xff"
_dirty = re.compile(
    rf"(?<![{_NO_LETTER}])(?:{_DIRTY_WORDS})(?![{_NO_LETTER}])|{TEMP_SCHEMA}"
    rf"|u&[\"']|(?<![A-Za-z])e'|(?<![{_NO_LETTER}])language(?![{_NO_LETTER}])"
    r"(?![ \t\n\r\f\v]++\"?plpgsql)",
    re.IGNORECASE | re.ASCII,
).search


def head_effects(it: Statement) -> list[SessionStatement]:
    """What the statement's head says; [] for one that is told by its calls alone."""
    rule = _RULES.get(it.span.head)
    return into_effects(it) if rule is None else rule(it)


def _begin(it: Statement) -> list[SessionStatement]:
    return [it.entry(Effect.BEGIN)]


def _commit(it: Statement) -> list[SessionStatement]:
    if it.read.word(1) == "prepared":
        return []
    return [it.entry(Effect.COMMIT)]


def _rollback(it: Statement) -> list[SessionStatement]:
    at = 2 if it.read.word(1) in {"work", "transaction"} else 1
    if it.read.word(at) == "to":
        return it.named(Effect.ROLLBACK_TO, _past_savepoint(it, at + 1))
    if it.read.word(at) == "prepared":
        return []
    return [it.entry(Effect.ROLLBACK)]


def _savepoint(it: Statement) -> list[SessionStatement]:
    return it.named(Effect.SAVEPOINT, 1)


def _release(it: Statement) -> list[SessionStatement]:
    return it.named(Effect.RELEASE, _past_savepoint(it, 1))


def _past_savepoint(it: Statement, index: int) -> int:
    """Past the word SAVEPOINT, unless it is the savepoint's name."""
    word = it.read.word(index) == "savepoint" and it.read.identifier(index + 1)
    return index + 1 if word else index


def _discard(it: Statement) -> list[SessionStatement]:
    what = it.read.word(1)
    what = "temp" if what == "temporary" else what
    return [it.entry(Effect.DISCARD, what, every=what == "all")]


def _listen(it: Statement) -> list[SessionStatement]:
    return it.named(Effect.LISTEN, 1)


def _unlisten(it: Statement) -> list[SessionStatement]:
    return it.named_or("*", Effect.UNLISTEN, 1)


def _close(it: Statement) -> list[SessionStatement]:
    return it.named_or("all", Effect.CLOSE, 1)


def _deallocate(it: Statement) -> list[SessionStatement]:
    word = it.read.word(1) == "prepare" and it.read.token(2)
    return it.named_or("all", Effect.DEALLOCATE, 2 if word else 1)


def _prepare(it: Statement) -> list[SessionStatement]:
    if it.read.word(1) == "transaction" and it.read.is_string(2):
        return [it.entry(Effect.COMMIT)]
    found = it.named(Effect.PREPARE, 1)
    return [one._replace(body_start=one.name_end) for one in found]


def _execute(it: Statement) -> list[SessionStatement]:
    return it.named(Effect.EXECUTE, 1)


def _declare(it: Statement) -> list[SessionStatement]:
    at = 2
    while it.read.word(at) not in {"cursor", ""} and at < _MOST_WORDS:
        at += 1
    if it.read.words(at, "cursor", "with", "hold"):
        return it.named(Effect.HOLD, 1)
    return []


def _drop(it: Statement) -> list[SessionStatement]:
    return [it.entry(Effect.DROP)]


def _load(it: Statement) -> list[SessionStatement]:
    return [it.entry(Effect.LOAD)]


def _do(it: Statement) -> list[SessionStatement]:
    head = len(it.span.head)
    dirty = _dirty(it.text, it.span.start + head, it.span.end)
    return [it.entry(Effect.PLAIN_DO if dirty is None else Effect.DO)]


_RULES: dict[str, Callable[[Statement], list[SessionStatement]]] = {
    "begin": _begin,
    "start": _begin,
    "commit": _commit,
    "end": _commit,
    "rollback": _rollback,
    "abort": _rollback,
    "savepoint": _savepoint,
    "release": _release,
    "set": set_effects,
    "reset": reset_effects,
    "discard": _discard,
    "listen": _listen,
    "unlisten": _unlisten,
    "prepare": _prepare,
    "execute": _execute,
    "deallocate": _deallocate,
    "declare": _declare,
    "close": _close,
    "explain": explain_effects,
    "create": create_effects,
    "drop": _drop,
    "load": _load,
    "do": _do,
    "call": _do,
}
HEADS = frozenset(_RULES)
"""The first words that have a rule."""
