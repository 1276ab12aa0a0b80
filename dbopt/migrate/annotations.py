"""What comments say of a declared index: `-- why: …` and `-- dbopt: owner=… expires=…`.

`-- dbopt:ignore RULE reason` is the linter's own, and no annotation (`sql/suppress.py`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from dbopt.errors import DeclarationError

KEYS = ("owner", "reason", "expires", "advice")

_is_ours = re.compile(r"\s*dbopt:(?!\s*ignore\b(?!\s*=))").match
_is_why = re.compile(r"\s*why:\s*").match
_pair = re.compile(r"""\s*([^\s="']+)\s*=\s*("[^"]*"|'[^']*'|[^\s"']+)(?=\s|$)""").match
_is_date = re.compile(r"\d{4}-\d\d-\d\d").fullmatch


class Comment(NamedTuple):
    """A comment without its marks, and where its text starts in the file, from 1."""

    text: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Annotations:
    """What is said of a declared index; "" and None where nothing is.

    `reason` is that of `-- dbopt:`, or of `-- why:`. `expires` is the last day that the index is
    wanted. `advice` is the id of the advice that it follows. `comments` are all comments but
    the `-- dbopt:` lines, in order.
    """

    owner: str = ""
    reason: str = ""
    expires: date | None = None
    advice: str = ""
    comments: tuple[str, ...] = ()

    def expired(self, today: date) -> bool:
        """Whether its last day is over."""
        return self.expires is not None and self.expires < today


NOTHING = Annotations()
"""Of a declaration without comments."""


def read_annotations(comments: Iterable[Comment], file: str) -> Annotations:
    """The annotations in these comments of a declaration.

    Raises DeclarationError with file, line and column for what is no `key=value`, a key that is
    not known or is given twice, and for a date that is none.
    """
    found: dict[str, tuple[str, str]] = {}
    kept: list[str] = []
    for comment in comments:
        ours = _is_ours(comment.text)
        if ours is None:
            kept.append(comment.text.strip())
            continue
        for key, value, place in _pairs(comment, ours.end(), file):
            if key in found:
                raise DeclarationError(
                    f"{place}: {key} is given twice.", hint="Leave one of them out."
                )
            found[key] = (value, place)
    return Annotations(
        owner=found.get("owner", ("", ""))[0],
        reason=found["reason"][0] if "reason" in found else _why(kept),
        expires=_date(*found["expires"]) if "expires" in found else None,
        advice=found.get("advice", ("", ""))[0],
        comments=tuple(kept),
    )


def _pairs(comment: Comment, at: int, file: str) -> list[tuple[str, str, str]]:
    """The keys, values and places of one `dbopt:` comment from an offset on."""
    pairs = []
    while comment.text[at:].strip():
        found = _pair(comment.text, at)
        start = found.start(1) if found else at + _blanks(comment.text[at:])
        place = _place(comment, start, file)
        if found is None:
            raise DeclarationError(
                f"{place}: expected key=value.",
                hint=f'Keys are {_listed()}. Write values with blanks in quotes: reason="…".',
            )
        key, value = found[1], found[2]
        if key not in KEYS:
            raise DeclarationError(f'{place}: there is no key "{key}".', hint=_near(key))
        pairs.append((key, value[1:-1] if value[0] in "\"'" else value, place))
        at = found.end()
    return pairs


def _place(comment: Comment, offset: int, file: str) -> str:
    before = comment.text[:offset]
    lines = before.count("\n")
    column = offset - before.rfind("\n") if lines else comment.column + offset
    return f"{file}:{comment.line + lines}:{column}"


def _blanks(text: str) -> int:
    return len(text) - len(text.lstrip())


def _why(comments: Iterable[str]) -> str:
    found = ((text, _is_why(text)) for text in comments)
    return " ".join(text[why.end() :].strip() for text, why in found if why)


def _date(text: str, place: str) -> date:
    try:
        if _is_date(text):
            return date.fromisoformat(text)
    except ValueError:  # such as the 31st of February
        pass
    raise DeclarationError(
        f"{place}: expires is no date.", hint="Write the year first: expires=2026-12-31."
    )


def _near(key: str) -> str:
    near = difflib.get_close_matches(key.lower(), KEYS, n=1)
    return f"Did you mean {near[0]}?" if near else f"Keys are {_listed()}."


def _listed() -> str:
    return f"{', '.join(KEYS[:-1])} and {KEYS[-1]}"
