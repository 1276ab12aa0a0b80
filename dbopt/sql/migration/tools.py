"""What migration tools write into SQL files: the way back, and who opens the transaction.

Sources: the documentation of goose, sql-migrate, dbmate, tern, sqlx, Atlas, Liquibase and squawk.
"""

from __future__ import annotations

import re

_down = re.compile(
    r"^[ \t]*--[ \t]*(?:\+(?:goose|migrate)[ \t]+down|migrate:down)\b"
    r"|^---- create above / drop below ----",
    re.IGNORECASE | re.MULTILINE,
).search
_up = re.compile(
    r"^[ \t]*--[ \t]*(?:\+(?:goose|migrate)[ \t]+up|migrate:up)\b", re.IGNORECASE | re.MULTILINE
).search
_alone = re.compile(
    r"^[ \t]*--[ \t]*(?:\+goose[ \t]+no[ \t]+transaction\b"
    r"|\+migrate[ \t]+up[ \t][^\n]*\bnotransaction\b"
    r"|migrate:up[ \t][^\n]*\btransaction:[ \t]*false\b"
    r"|no-transaction[ \t]*\r?$"
    r"|atlas:txmode[ \t]+none\b"
    r"|changeset[ \t][^\n]*\brunInTransaction:[ \t]*false\b"
    r"|squawk-disable-assume-in-transaction\b)"
    r"|^---- tern: disable-tx ----",
    re.IGNORECASE | re.MULTILINE,
).search
_printed = re.compile(r"[^\r\n]")


def in_transaction(text: str, *, usual: bool) -> bool:
    """Whether the tool opens a transaction around the text, which may say so itself.

    `usual` is what holds for a text that says nothing.
    """
    if _alone(text) is not None:
        return False
    return usual or "-- squawk-enable-assume-in-transaction" in text


def forward(text: str) -> str:
    """The text with blanks for the parts that take the migration back; every offset stays."""
    parts: list[str] = []
    at = 0
    while (down := _down(text, at)) is not None:
        up = _up(text, down.end())
        end = len(text) if up is None else up.start()
        parts += [text[at : down.start()], _printed.sub(" ", text[down.start() : end])]
        at = end
    return "".join((*parts, text[at:]))
