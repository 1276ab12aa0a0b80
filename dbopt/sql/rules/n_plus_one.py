"""The same query for each of many rows: a loop in the application that a join could be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from sqlglot import exp

from dbopt.sql.findings import Severity
from dbopt.sql.query import Kind
from dbopt.sql.rules.support import Match, Rule
from dbopt.sql.rules.transactions import Stretch, stretches
from dbopt.sql.script import Script, Subject

FEWEST = 5
"""Runs of one statement in a transaction, or one right after another outside of any."""
_LOOPED = frozenset({Kind.READ, Kind.UPDATE, Kind.DELETE})


def _check(script: Script) -> Iterator[Match]:
    for stretch in stretches(script):
        where = "in one transaction" if stretch.explicit else "one after another"
        for run in _runs(stretch):
            if len(run) >= FEWEST:
                yield _match(run, where)


def _runs(stretch: Stretch) -> Iterator[list[Subject]]:
    """In a transaction the loop may do other things between; elsewhere an unbroken run counts."""
    if not stretch.explicit:
        for fingerprint, run in groupby(stretch.subjects, _key):
            yield list(run) if fingerprint is not None else []
        return
    found: dict[int, list[Subject]] = {}
    for subject in stretch.subjects:
        fingerprint = _key(subject)
        if fingerprint is not None:
            found.setdefault(fingerprint, []).append(subject)
    yield from found.values()


def _key(subject: Subject) -> int | None:
    return subject.fingerprint if _looks_up(subject) else None


def _looks_up(subject: Subject) -> bool:
    """Whether it finds rows of a table by constants or parameters: what a loop has put there."""
    does, tree = subject.judged.does, subject.tree
    if tree is None or does.kind not in _LOOPED or not (does.reads or does.writes):
        return False
    return any(
        where.find(exp.Literal, exp.Parameter, exp.Placeholder) is not None
        for where in tree.find_all(exp.Where)
    )


def _match(run: Sequence[Subject], where: str) -> Match:
    first = run[0]
    does = first.judged.does
    tables = ", ".join(map(str, does.writes or does.reads))
    alike = len({one.sql for one in run}) == 1
    how = "with the same constants each time" if alike else "once for each value"
    return Match(
        first,
        f"The same statement on {tables} runs {len(run)} times {where}, {how}.",
        first.tree,
        remedy="Run it once and keep the result." if alike and _is_constant(first) else "",
        evidence={"runs": len(run), "lines": [one.line for one in run]},
    )


def _is_constant(subject: Subject) -> bool:
    tree = subject.tree
    return tree is not None and tree.find(exp.Parameter, exp.Placeholder) is None


RULE = Rule(
    name="n-plus-one",
    severity=Severity.WARNING,
    summary="The same statement once for each row.",
    reason=(
        "Each run is a round trip, and its latency is most of its time: a hundred look-ups of 0.1 "
        "ms cost a hundred times the network's latency on top. The transaction stays open all the "
        "while, and holds its backend, its locks and its snapshot."
    ),
    remedy=(
        "Ask for all rows at once: a join with the query that gave the keys, or WHERE key = "
        "ANY ($1); in an ORM, eager loading of the relation."
    ),
    fires="\n".join(["BEGIN;", *["SELECT name FROM users WHERE id = $1;"] * FEWEST, "COMMIT;"]),
    passes="BEGIN;\nSELECT name FROM users WHERE id = ANY (ARRAY[1, 2, 3, 4, 5]);\nCOMMIT;",
    check_script=_check,
)
