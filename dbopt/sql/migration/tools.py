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
_liquibase = re.compile(r"\s*--[ \t]*liquibase formatted sql", re.IGNORECASE).match
_changeset = re.compile(
    r"^[ \t]*--[ \t]*changeset[ \t][^\n]*", re.IGNORECASE | re.MULTILINE
).finditer
_printed = re.compile(r"[^\r\n]")
_wrapped = re.compile("-- squawk-enable-assume-in-transaction").search
_dumped = re.compile(
    r"^SELECT pg_catalog\.set_config\('search_path', '', false\);", re.MULTILINE
).search
_DUMPS_HEAD = 5_000
"""Characters in which pg_dump sets its search_path."""
# Strings and comments are passed over, so that a constant stays what it is; the code of a dollar
# quote is not.
_placeholder = re.compile(
    r"[eE]'(?:[^'\\]|''|\\.)*(?:'|\Z)|'[^']*(?:''[^']*)*(?:'|\Z)|--[^\n]*"
    r"|(\$\{([A-Za-z0-9_.:-]{1,64})\}|(?<![\w:\]]):(?=([A-Za-z_]\w*)|[\"']))",
    re.DOTALL,
).sub
_NO_NAME = re.compile(r"\W").sub


def in_transaction(text: str, *, usual: bool) -> bool:
    """Whether the tool opens a transaction around the text, which may say so itself.

    `usual` is what holds for a text that says nothing.
    """
    if _alone(text) is not None and not any(wrapped for _, wrapped in changesets(text)):
        return False
    return usual or _wrapped(text) is not None


def changesets(text: str) -> list[tuple[int, bool]]:
    """Where each of Liquibase's changesets starts, and whether it is a transaction."""
    if _liquibase(text) is None:
        return []
    return [(one.start(), _alone(one[0]) is None) for one in _changeset(text)]


def wraps(text: str) -> bool:
    """Whether the text is of a tool that is known to open the transaction."""
    return _wrapped(text) is not None or _up(text) is not None


def is_dump(text: str) -> bool:
    """Whether pg_dump has written it, as Rails' structure.sql too: it tells what is there."""
    return _dumped(text, 0, _DUMPS_HEAD) is not None


def filled(text: str) -> tuple[str, dict[str, str]]:
    """The text with names for placeholders: Flyway's `${schema}`, psql's `:schema` and `:'value'`.

    Every offset stays. The second value is what each name stands for, as the text writes it.
    """
    names: dict[str, str] = {}

    def fill(found: re.Match[str]) -> str:
        whole, inside, variable = found.groups()
        if whole is None:
            return found[0]
        if inside is not None:
            name = f"_${_NO_NAME('_', inside)}_"
            names[name.lower()] = whole
            return name
        if variable is None:
            return " "
        names[f"_{variable}".lower()] = f":{variable}"
        return "_"

    return _placeholder(fill, text), names


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
