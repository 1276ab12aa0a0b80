"""What a text does to the session that runs it, for a gateway that shares sessions.

The gateway asks once for each distinct statement (`is_special`), and again for each text of a
special one, since names may stand in constants: set_config('a', …). So `is_special` is the same
for all texts that differ in constants only, and what is in doubt is flagged.

Not seen: what a function or a view of the application does within; dynamic SQL in an argument;
escapes in plain strings under standard_conforming_strings off, and client encodings whose
characters hold ASCII bytes (SJIS, BIG5, GBK, GB18030, UHC, JOHAB).
"""

from __future__ import annotations

import re

from dbopt.sql.calleffects import CALLS, call_effects
from dbopt.sql.effectentry import Statement
from dbopt.sql.effectrules import MARKED, head_effects
from dbopt.sql.outline import TEMP_SCHEMA, Span, outline
from dbopt.sql.sessioneffect import UNREMARKABLE, Effect, SessionStatement

__all__ = ["Effect", "SessionStatement", "bounded_effects", "effects", "is_special"]

LONGEST_READ = 1 << 16
"""Bytes of the longest text that `bounded_effects` reads."""
_LETTER = r"A-Za-z0-9_$\x80-\xff"
_HEADS = (
    "set|reset|discard|listen|unlisten|prepare|execute|deallocate|drop|close|load|do|call"
    "|savepoint|release|rollback|declare|explain|create"
)
# A head follows the text's start, a semicolon, a comment or a line break, blanks apart. Blanks are
# possessive, and no blank that may open a run is among them, so the search is linear.
_suspect = re.compile(
    rf"(?:\A|[;/\n\r])[ \t\f\v]*+(?:{_HEADS})(?![{_LETTER}])"
    rf"|{'|'.join(sorted(CALLS))}|{TEMP_SCHEMA}|temp(?:orary)?(?![{_LETTER}])|u&\"".encode(),
    re.IGNORECASE,
).search


def effects(sql: bytes) -> tuple[SessionStatement, ...]:
    """What each statement of a text does to its session, in order.

    () where no statement does anything that is not told by the server's own replies: that is the
    usual case, mostly decided by one search. Otherwise each statement has an entry, and one entry
    more for each further effect. `sql` is in the client's encoding. Never raises; linear in time.
    """
    if _suspect(sql) is None:
        return ()
    text = sql.decode("latin-1")
    found = [entry for span in outline(text, MARKED) for entry in _entries(text, span)]
    if all(entry.kind in UNREMARKABLE for entry in found):
        return ()
    return tuple(found)


def bounded_effects(sql: bytes) -> tuple[SessionStatement, ...]:
    """The same in bounded time: a long text that may do anything counts as one DO that does.

    A hostile text of 1 MB would take seconds, in which a gateway serves nobody.
    """
    if len(sql) <= LONGEST_READ:
        return effects(sql)
    return (SessionStatement(Effect.DO, 0, len(sql)),) if _suspect(sql) is not None else ()


def is_special(sql: bytes) -> bool:
    """Whether `effects` would find anything; the same for texts that differ in constants only."""
    return effects(sql) != ()


def _entries(text: str, span: Span) -> list[SessionStatement]:
    statement = Statement(text, span)
    found = head_effects(statement)
    if span.marks:
        found += call_effects(text, span)
    if any("search_path" in entry.names for entry in found) and _names_temp(text, span):
        found.append(statement.entry(Effect.TEMP))
    return found or [statement.entry(Effect.OTHER)]


def _names_temp(text: str, span: Span) -> bool:
    """Whether a search_path may make each CREATE a temporary one."""
    return TEMP_SCHEMA in text[span.start : span.end].lower()
