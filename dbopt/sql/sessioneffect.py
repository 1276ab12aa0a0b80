"""What one statement of a text does to the session that runs it: the words for it."""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple


class Effect(Enum):
    """What a statement does to its session."""

    OTHER = auto()
    """Nothing that is known to outlive its transaction."""
    BEGIN = auto()
    """BEGIN, START TRANSACTION."""
    COMMIT = auto()
    """COMMIT, END, PREPARE TRANSACTION (which keeps what SET did)."""
    ROLLBACK = auto()
    """ROLLBACK, ABORT; not ROLLBACK TO."""
    SAVEPOINT = auto()
    RELEASE = auto()
    ROLLBACK_TO = auto()
    """ROLLBACK TO: it undoes what SET did since the savepoint."""
    SET = auto()
    SET_LOCAL = auto()
    """Until the transaction ends: SET LOCAL, TRANSACTION, CONSTRAINTS, set_config(…, true)."""
    SET_ROLE = auto()
    """Who the session is: SET ROLE, SET SESSION AUTHORIZATION, and their RESET."""
    RESET = auto()
    """RESET, and SET … TO DEFAULT, which is the same."""
    SET_CONFIG = auto()
    """A call of set_config(), unless it is local for certain."""
    DISCARD = auto()
    LISTEN = auto()
    UNLISTEN = auto()
    PREPARE = auto()
    EXECUTE = auto()
    DEALLOCATE = auto()
    TEMP = auto()
    """A temporary object is made, or search_path is set to where they are made."""
    TEMP_IN_TRANSACTION = auto()
    """A temporary table ON COMMIT DROP: gone when the transaction is."""
    DROP = auto()
    """Something is dropped: it may have been temporary."""
    HOLD = auto()
    """DECLARE … WITH HOLD."""
    CLOSE = auto()
    ADVISORY = auto()
    """A session-level advisory lock is taken."""
    ADVISORY_UNLOCK = auto()
    LOAD = auto()
    STATEFUL_CALL = auto()
    """A call whose trace nothing removes but the session's end: dblink_connect(), setseed() …"""
    DO = auto()
    """DO or CALL whose text names a word of this list, in strings too."""
    PLAIN_DO = auto()
    """DO or CALL that names none; the same with other literals might."""


UNREMARKABLE = frozenset({Effect.OTHER, Effect.BEGIN, Effect.COMMIT, Effect.ROLLBACK})
"""What alone makes no text special: the server's replies tell as much."""


class SessionStatement(NamedTuple):
    """One effect of one statement of a text.

    A statement with several effects has one entry for each, with the same start. Those that follow
    a PREPARE are its body's: they come true at EXECUTE. Offsets count bytes of the text.
    """

    kind: Effect
    start: int
    """Where the statement's first token begins."""
    end: int
    """Just after its last token, the `;` left out (comments behind that token may be within)."""
    names: tuple[str, ...] = ()
    """Settings, or the channel, statement, cursor or savepoint; () where it cannot be known.

    Folded as the server folds them. One character is one byte: `.encode("latin-1")` gives the
    bytes that the client wrote. Settings are in lower case, "all" is RESET ALL and DISCARD ALL.
    """
    every: bool = False
    """All of them: RESET ALL, DISCARD ALL, UNLISTEN *, DEALLOCATE ALL, CLOSE ALL."""
    name_start: int = 0
    name_end: int = 0
    """Where the one name stands as written, quotes included; 0, 0 where there is none."""
    body_start: int = 0
    """PREPARE: just after the name, where `(types) AS statement` begins."""
