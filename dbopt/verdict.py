"""Verdict: what the guard says of one statement of one client, as it travels to the workers."""

from __future__ import annotations

import msgspec


class Question(msgspec.Struct, frozen=True, array_like=True):
    """Worker → control: may this run?

    `text` is the statement as the client sent it: it stays in memory. `route` is the
    sqlcommenter tag of that name, or "".
    """

    fingerprint: int
    text: str
    database: str
    user: str
    application: str
    route: str


class Refusal(msgspec.Struct, frozen=True, array_like=True):
    """Worker → control: what the guard has refused since the last report, by statement and rule."""

    fingerprint: int
    database: str
    user: str
    application: str
    route: str
    rule: str
    calls: int


class Verdict(msgspec.Struct, frozen=True, array_like=True):
    """Whether a statement may run, and how.

    `rule` is the name of the rule that refuses it, "" where none does; the words are then those
    of the ErrorResponse: `detail` gives the score and its reasons. `grade` is the class of its
    complexity. `heavy`: it goes by the lane. `timeout` is seconds and `max_rows` rows, 0 for no
    limit. `expires` is epoch seconds after which it must be asked anew; 0 is never.
    """

    refused: bool = False
    rule: str = ""
    sqlstate: str = ""
    message: str = ""
    detail: str = ""
    hint: str = ""
    score: int = 0
    grade: str = ""
    heavy: bool = False
    timeout: float = 0.0
    max_rows: int = 0
    expires: float = 0.0

    @property
    def plain(self) -> bool:
        """Whether it may run just so: no lane, no limit of rows."""
        return not (self.refused or self.heavy or self.max_rows or self.expires)


UNJUDGED = "unjudged"
"""The rule that refuses, with guard.fail = "closed", what no verdict came for."""


def unjudged(closed: bool, expires: float) -> Verdict:
    """What guard.fail (open or `closed`) says of a statement without a verdict, until `expires`."""
    if not closed:
        return Verdict(expires=expires)
    return Verdict(
        refused=True,
        rule=UNJUDGED,
        sqlstate="58000",
        message="The guard has no verdict for this statement, and lets none run without.",
        detail="No answer came in time, or its text is too long or cannot be read for sure.",
        hint='Try again. With guard.fail = "open" such statements run.',
        expires=expires,
    )
