"""What a refused client is told: the words of the ErrorResponse. Never a literal of a statement.

The style is PostgreSQL's own (documentation, "Error Message Style Guide"): the message is short,
in lower case and without a period; detail and hint are whole sentences.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from dbopt.sql.fingerprint import fingerprint_hex
from dbopt.sql.query import Kind, Query, Reason
from dbopt.store.quarantine import Quarantine

MOST_REASONS = 8
"""Reasons that the detail lists; the rest are said to be there."""


class Refusal(NamedTuple):
    """What a rule says. `detail` comes before what is said of every refused statement."""

    message: str
    hint: str
    detail: str = ""


def quarantine(held: Quarantine) -> Refusal:
    """It may not run for a while; the reason is the one that was given for that."""
    until = datetime.fromtimestamp(held.expires, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return Refusal(
        f"statement refused by the guard: it is in quarantine until {until} UTC",
        "Wait, or ask for `dbopt guard release`.",
        f"The reason given is: {held.reason.rstrip('.')}." if held.reason else "",
    )


def deny() -> Refusal:
    """It is on the list."""
    return Refusal(
        "statement refused by the guard: it is on the list of denied statements",
        "Use another statement.",
    )


def read_only(kind: Kind) -> Refusal:
    """Only reads are allowed here."""
    return Refusal(
        f"statement refused by the guard: only reads are allowed, and it is of kind {kind}"
        if kind is not Kind.READ
        else "statement refused by the guard: only reads are allowed, and it may write",
        "Run it as a user, or by an application, that may write.",
        "A read that locks rows, or calls a function that is not known to be harmless, may write."
        if kind is Kind.READ
        else "",
    )


def ddl(kind: Kind) -> Refusal:
    """No changes of the schema."""
    return Refusal(
        f"statement refused by the guard: statements of kind {kind} are not allowed",
        "Run it as a migration, not through the gateway.",
    )


def unqualified_write() -> Refusal:
    """UPDATE or DELETE of a whole table."""
    return Refusal(
        "statement refused by the guard: an UPDATE or DELETE does not say which rows",
        "Add a WHERE that says which rows are meant.",
    )


def complexity(score: int, limit: int) -> Refusal:
    """The score is above the limit."""
    return Refusal(
        f"statement refused by the guard: its complexity is {score}, and the limit is {limit}",
        "Rewrite it so that the largest of these reasons goes away.",
    )


def cost(value: float, limit: float) -> Refusal:
    """The planner's estimate is above the limit."""
    return Refusal(
        f"statement refused by the guard: the planner's cost is {value:.0f}, and the limit is "
        f"{limit:.0f}",
        "Look at its plan with EXPLAIN: read fewer rows, or add the index that it lacks.",
    )


def detail(query: Query, cost: float | None, first: str = "") -> str:
    """The score, its class and its reasons, the largest first, and the cost where it is known."""
    found = query.complexity
    said = [first] if first else []
    reasons = ", ".join(f"{reason.points} for {reason.what}" for reason in _first(query))
    more = ", and others" if len(found.reasons) > MOST_REASONS else ""
    score = f"Its complexity is {found.score} ({found.grade})"
    said.append(f"{score}: {reasons}{more}." if reasons else f"{score}.")
    if cost is not None:
        said.append(f"The planner's cost is {cost:.0f}.")
    return " ".join(said)


def _first(query: Query) -> list[Reason]:
    return list(query.complexity.reasons[:MOST_REASONS])


def hint(what: str, fingerprint: int, may_be_allowed: bool) -> str:
    """What to do; the last resort is the list of what is allowed."""
    if not may_be_allowed:
        return what
    return f"{what} If it must run as it is, ask for {fingerprint_hex(fingerprint)} in guard.allow."
