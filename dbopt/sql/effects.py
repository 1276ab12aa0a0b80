"""What a text does to the session that runs it, for a gateway that shares sessions.

The gateway asks once for each distinct statement (`is_special`), and again for each text of a
special one, since names may stand in constants: set_config('a', …). So `is_special` is the same
for all texts that differ in constants only, and what is in doubt is flagged.

Not seen: what a function or a view of the application does within; dynamic SQL in an argument;
currval() and lastval(), which transaction pooling cannot keep; escapes in plain strings under
standard_conforming_strings off; client encodings whose characters hold ASCII bytes (SJIS, BIG5,
GBK, GB18030, UHC, JOHAB).
"""

from __future__ import annotations

import re

from dbopt.sql.calleffects import CALLS, call_effects
from dbopt.sql.effectentry import Statement
from dbopt.sql.effectrules import HEADS, OUTLINER, head_effects
from dbopt.sql.outline import TEMP_SCHEMA, Span
from dbopt.sql.sessioneffect import UNREMARKABLE, Effect, SessionStatement

__all__ = ["Effect", "SessionStatement", "bounded_effects", "effects", "is_special"]

LONGEST_READ = 1 << 16
"""Bytes of the longest text that `bounded_effects` reads."""
# One of these is in each text that its words or its calls make special; all in lower case.
_NAMES = (
    *(name.encode() for name in CALLS if "advisory" not in name),
    b"advisory_",
    b"temp",
    b'u&"',
)
_HEADS = (
    "set|reset|discard|listen|unlisten|prepare|execute|deallocate|drop|close|load|do|call"
    "|savepoint|release|rollback|declare|explain|create"
)
# A head follows the text's start, a semicolon, a comment or a line break, blanks apart. Blanks are
# possessive, and none that may open a run is among them, so the search is linear.
_head = rf"[ \t\f\v]*+(?=[acdelprsu])(?:{_HEADS})(?![a-z0-9_$\x80-\xff])"
_first_head = re.compile(_head.encode()).match
_later_head = re.compile(rf"[;/\n\r]{_head}".encode()).search


def effects(sql: bytes) -> tuple[SessionStatement, ...]:
    """What each statement of a text does to its session, in order.

    () where no statement does anything that is not told by the server's own replies: that is the
    usual case, mostly decided by one search. Otherwise each statement has an entry, and one entry
    more for each further effect. `sql` is in the client's encoding. Never raises; linear in time.
    """
    if not _is_suspect(sql.lower()):
        return ()
    text = sql.decode("latin-1")
    found = [entry for span in OUTLINER.outline(text) for entry in _entries(text, span)]
    if all(entry.kind in UNREMARKABLE for entry in found):
        return ()
    return tuple(found)


def bounded_effects(sql: bytes) -> tuple[SessionStatement, ...]:
    """The same in bounded time: a long text that may do anything counts as one DO that does.

    A hostile text of 1 MB would take seconds, in which a gateway serves nobody.
    """
    if len(sql) <= LONGEST_READ:
        return effects(sql)
    return (SessionStatement(Effect.DO, 0, len(sql)),) if _is_suspect(sql.lower()) else ()


def is_special(sql: bytes) -> bool:
    """Whether `effects` would find anything; the same for texts that differ in constants only."""
    return effects(sql) != ()


def _is_suspect(lowered: bytes) -> bool:
    """Whether a text, in lower case, holds a word that needs a closer look."""
    if _first_head(lowered) or any(name in lowered for name in _NAMES):
        return True
    return _later_head(lowered) is not None


def _entries(text: str, span: Span) -> list[SessionStatement]:
    if not span.marks and span.head not in HEADS:
        return [SessionStatement(Effect.OTHER, span.start, span.end)]
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
