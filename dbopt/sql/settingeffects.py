"""What SET and RESET do to which settings.

Source: PostgreSQL 18's src/backend/parser/gram.y: VariableSetStmt, ConstraintsSetStmt and
VariableResetStmt.
"""

from __future__ import annotations

from dbopt.sql.effectentry import Statement
from dbopt.sql.lexer import fold_case
from dbopt.sql.sessioneffect import Effect, SessionStatement

ROLES = frozenset({"role", "session_authorization"})
"""Settings that say who the session is."""
PER_TRANSACTION = frozenset(
    {"transaction_isolation", "transaction_read_only", "transaction_deferrable"}
)
"""Settings that every transaction starts anew."""
_CHARACTERISTICS = tuple(f"default_{name}" for name in sorted(PER_TRANSACTION))
_ASSIGNS = frozenset({"=", "to", ".", "from"})
_SPELT = {"schema": "search_path", "names": "client_encoding", "role": "role"}
_OLD_NAMES = {"sort_mem": "work_mem", "vacuum_mem": "maintenance_work_mem"}


def setting_name(name: str) -> str:
    """A setting as the server knows it: in lower case, quoted or not, and by its new name."""
    name = fold_case(name)
    return _OLD_NAMES.get(name, name)


def set_effects(it: Statement) -> list[SessionStatement]:
    """What SET does."""
    read, at = it.read, 1
    scope = read.word(1)
    if scope in {"local", "session"} and read.word(2) not in _ASSIGNS:
        at = 2
    else:
        scope = ""
    session = scope == "session"
    if read.word(at) == "session" and read.word(at + 1) not in _ASSIGNS:
        at, session = at + 1, True
    if session and read.word(at) in {"authorization", "characteristics"}:
        return _session_rest(it, at, scope == "local")
    return _assignment(it, at, scope == "local")


def _session_rest(it: Statement, at: int, local: bool) -> list[SessionStatement]:
    if it.read.word(at) == "authorization":
        return _setting(it, ("session_authorization",), "", local)
    return _setting(it, _CHARACTERISTICS, "", local)


def _assignment(it: Statement, at: int, local: bool) -> list[SessionStatement]:
    read = it.read
    word, behind = read.word(at), read.word(at + 1)
    if behind not in _ASSIGNS:
        if word in {"transaction", "constraints"}:
            return [it.entry(Effect.SET_LOCAL)]
        if (word, behind) == ("time", "zone"):
            return _setting(it, ("timezone",), read.word(at + 2), local)
        if (word, behind) == ("xml", "option"):
            return _setting(it, ("xmloption",), "", local)
        if word in _SPELT:
            return _setting(it, (_SPELT[word],), behind or "", local)
    name, past = _variable(it, at)
    return _setting(it, name, read.word(past + 1), local)


def _variable(it: Statement, at: int) -> tuple[tuple[str, ...], int]:
    """A setting's name, of one part or two, and the index behind it."""
    parts, found = [], it.read.identifier(at)
    while found is not None:
        parts.append(setting_name(found.name))
        if it.read.word(at + 1) != ".":
            break
        at += 2
        found = it.read.identifier(at)
    return ((".".join(parts),) if parts else ()), at + 1


def _setting(
    it: Statement, names: tuple[str, ...], value: str, local: bool
) -> list[SessionStatement]:
    kind = Effect.SET
    if local or not PER_TRANSACTION.isdisjoint(names):
        kind = Effect.SET_LOCAL
    elif not ROLES.isdisjoint(names):
        kind = Effect.SET_ROLE
    elif value == "default" or (value == "local" and names == ("timezone",)):
        kind = Effect.RESET
    return [it.entry(kind, *names)]


def reset_effects(it: Statement) -> list[SessionStatement]:
    """What RESET does."""
    read = it.read
    if read.word(1) == "all":
        return [it.entry(Effect.RESET, "all", every=True)]
    if read.words(1, "session", "authorization"):
        return [it.entry(Effect.SET_ROLE, "session_authorization")]
    if read.words(1, "time", "zone"):
        return [it.entry(Effect.RESET, "timezone")]
    if read.words(1, "transaction", "isolation"):
        return [it.entry(Effect.RESET, "transaction_isolation")]
    names, _ = _variable(it, 1)
    return [it.entry(Effect.RESET if ROLES.isdisjoint(names) else Effect.SET_ROLE, *names)]
