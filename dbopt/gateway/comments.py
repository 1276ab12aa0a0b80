"""Comments: what sqlcommenter leaves at the end of a statement, told apart from the statement.

Pure, and on the way of every tagged statement. Such texts are new each time, since a trace's id is
in them; without the comment they are not. A text may be told by what comes before its comment only
where that part is complete in itself: see `at_rest`.
"""

from __future__ import annotations

import re
from typing import Final

from dbopt.sql.lexer import texts
from dbopt.sql.tags import tags

ENDS: Final = frozenset((b"/", b";"))
"""The last byte of a text that may end in a comment."""
OTHER: Final = "(other)"
_BLANK: Final = b"; \t\r\n\f\v"
_LONGEST_ROUTE: Final = 200
_LONGEST_READ: Final = 4096
"""Bytes at a text's end that are read for its tags, as dbopt.sql.tags reads characters."""
_ROUTE: Final = b"route='"
_BEFORE: Final = b", \t\r\n"
_SAMPLED: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]([0-9a-f])").fullmatch
_KNOWN_TAGS: Final = frozenset(
    (
        "action", "application", "controller", "db_driver", "framework", "job", "route",
        "traceparent", "tracestate",
    )
)  # fmt: skip
"""Those that name code or a trace. What an application tags otherwise may hold its data."""
_DOUBTFUL: Final = re.compile(rb"--|/\*|\$(?:[A-Za-z_\x80-\xff][A-Za-z_0-9\x80-\xff]*+)?\$").search
"""What needs the lexer: it may be in a string, or may begin a comment or a dollar quote."""
_QUOTED: Final = re.compile(rb"[^'\"]*+(?:(?:'[^']*'|\"[^\"]*\")[^'\"]*+)*").fullmatch
_BLOCK_WORDS: Final = frozenset(("abort", "begin", "commit", "end", "prepare", "rollback", "start"))
_BLOCK_WORD: Final = re.compile("|".join(sorted(_BLOCK_WORDS)).encode()).search
_LONGEST_LEXED: Final = 65_536


def split(text: bytes) -> tuple[bytes, bytes] | None:
    """What is before the comment that a text ends in, and that without its marks; None: no such.

    None too where the last `/*` and the end's `*/` are not one comment of their own. Blanks and
    semicolons may follow it. That the base is code, and not a string that goes on, is not told.
    """
    end = len(text) - 2
    if text[-1:] == b";":
        end = len(text.rstrip(_BLANK)) - 2
    if end < 0 or text[end : end + 2] != b"*/":
        return None
    at = text.rfind(b"/*", 0, end)
    if at < 0 or text.find(b"*/", at + 2, end) >= 0:
        return None
    return text[:at], text[at + 2 : end]


def at_rest(base: bytes) -> bool:
    """Whether a comment after it is one to any server: nothing is open at its end.

    No string, quoted name, comment or dollar quote. No backslash either, since what it means hangs
    on a setting, and no letter that a client's encoding may go on with.
    """
    if b"\\" in base or base[-1:] >= b"\x80":
        return False
    if _DOUBTFUL(base) is None:
        return _QUOTED(base) is not None
    if len(base) > _LONGEST_LEXED:
        return False
    text = base.decode("utf-8", "replace")
    found = texts(text.rstrip(" \t\n\r\f\v"))
    return texts(text + "/**/;") == [*found, "/**/", ";"]


def raw_route(comment: bytes) -> bytes:
    """The value of the comment's last route as it is written; b"" where there is none.

    It is found by its name, as sqlcommenter writes it: `route='...'`. The rest is not read.
    """
    at = comment.rfind(_ROUTE)
    if at < 0 or (at and comment[at - 1] not in _BEFORE):
        return b""
    at += len(_ROUTE)
    end = comment.find(b"'", at)
    return comment[at:end] if end >= 0 else b""


def route_name(raw: bytes) -> str:
    """A route for people: decoded, and cut if it is very long; "" of what is none."""
    pair = raw.decode("utf-8", "replace")
    return tags(f"/*route='{pair}'*/").get("route", "")[:_LONGEST_ROUTE]


def known_tags(text: bytes) -> dict[str, str]:
    """The tags at a text's end that may be kept and shown."""
    found = tags(text[-_LONGEST_READ:].decode("utf-8", "replace"))
    return {name: value for name, value in found.items() if name in _KNOWN_TAGS}


def sampled(text: bytes) -> bool:
    """Whether the trace that a statement belongs to is recorded by who began it.

    Source: W3C Trace Context, 3.2.2.5.1, the sampled flag.
    """
    if b"traceparent" not in text[-_LONGEST_READ:]:
        return False
    found = _SAMPLED(known_tags(text).get("traceparent", ""))
    return found is not None and int(found[1], 16) & 1 == 1


def hides_block(text: bytes) -> bool:
    """Whether transactions begin or end within a text, so that its last status does not tell.

    Of several statements one begins or ends a transaction, or one ends it and begins the next.
    """
    text = text[:_LONGEST_LEXED].rstrip(_BLANK)
    lowered = text.lower()
    if (b";" not in text and b"chain" not in lowered) or _BLOCK_WORD(lowered) is None:
        return False
    found = texts(text.decode("utf-8", "replace"))
    first, words = True, 0
    for token in found:
        if token.startswith(("--", "/*")):
            continue
        word = token.lower()
        words += (first and word in _BLOCK_WORDS) or (words > 0 and word == "chain")
        first = token == ";"  # noqa: S105 - no password
    several = ";" in found[:-1]
    return words > 0 and (several or words > 1)
