"""One INSERT for each row: a round trip and a plan for each, where one statement does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from sqlglot import exp

from dbopt.sql.findings import Severity
from dbopt.sql.lexer import Token
from dbopt.sql.query import Kind
from dbopt.sql.rules.support import Match, Rule
from dbopt.sql.script import Script, Subject

FEWEST = 3
"""INSERTs in a row. Two may well be two things."""
_MOST_SHOWN = 20
"""Rows of the combined statement that the remedy writes out."""


def _check(script: Script) -> Iterator[Match]:
    # Each in a transaction of its own is the same habit, only dearer.
    subjects = [s for s in script.subjects if s.judged.does.kind is not Kind.TRANSACTION]
    for fingerprint, run in groupby(subjects, _key):
        inserts = list(run)
        if fingerprint is not None and len(inserts) >= FEWEST:
            yield _match(inserts)


def _key(subject: Subject) -> int | None:
    return subject.fingerprint if _inserts_one_row(subject) else None


def _inserts_one_row(subject: Subject) -> bool:
    tree = subject.tree
    if not isinstance(tree, exp.Insert) or subject.judged.does.kind is not Kind.INSERT:
        return False
    values = tree.expression
    return isinstance(values, exp.Values) and len(values.expressions) == 1


def _match(inserts: Sequence[Subject]) -> Match:
    target = inserts[0].judged.does.writes
    table = f" into {target[0]}" if len(target) == 1 else ""
    return Match(
        inserts[0],
        f"{len(inserts)} INSERTs of one row each{table}, one after another.",
        inserts[0].tree,
        remedy=_remedy(inserts),
        evidence={"inserts": len(inserts), "lines": [one.line for one in inserts]},
    )


def _remedy(inserts: Sequence[Subject]) -> str:
    combined = _combined(inserts)
    return f"One statement for all rows:\n{combined}" if combined else ""


def _combined(inserts: Sequence[Subject]) -> str:
    """One INSERT of all the rows, "" where it could do other than they do one by one."""
    parts = [_parts(one) for one in inserts]
    first = parts[0]
    if first is None or any(part is None or _frame(part) != _frame(first) for part in parts):
        return ""
    rows = [part[1] for part in parts if part is not None]
    more = len(rows) - _MOST_SHOWN
    end = f",\n  ... -- and {more} rows more\n" if more > 0 else "\n" if first[2] else ""
    return f"{first[0]}\n  " + ",\n  ".join(rows[:_MOST_SHOWN]) + end + first[2]


def _frame(parts: tuple[str, str, str]) -> tuple[str, str]:
    return parts[0], parts[2]


def _parts(subject: Subject) -> tuple[str, str, str] | None:
    """The text up to the row, the row, and what follows it; None where that is a conflict's UPDATE.

    An INSERT cannot update one row twice: what two statements may do, one may not.
    """
    written = subject.judged.statement.tokens
    words = [token.text.lower() for token in written]
    prefixed = subject.tree is None or subject.tree.args.get("with_") is not None
    if "values" not in words or prefixed:
        return None
    start = words.index("values") + 1
    end = _after_brackets(written, start)
    tail = words[end:]
    if "update" in tail or words[start : start + 1] != ["("] or any("$" in w for w in words):
        return None
    base, text = written[0].start, subject.sql
    cut = written[end - 1].start + 1 - base
    row = written[start].start - base
    return text[:row].strip(), text[row:cut], text[cut:].strip()


def _after_brackets(written: Sequence[Token], at: int) -> int:
    """The index after the bracket that closes the one at `at`."""
    depth = 0
    for index in range(at, len(written)):
        depth += {"(": 1, ")": -1}.get(written[index].text, 0)
        if depth == 0:
            return index + 1
    return len(written)


RULE = Rule(
    name="row-by-row-inserts",
    severity=Severity.WARNING,
    summary="Many INSERTs of one row each, one after another.",
    reason=(
        "Each statement is a round trip, a parse and a plan, and outside a transaction a commit "
        "that waits for the disk. One INSERT of many rows is some ten times as fast, and COPY "
        "faster still (PostgreSQL documentation, 14.4 Populating a Database)."
    ),
    remedy=(
        "INSERT ... VALUES (...), (...), or INSERT ... SELECT FROM unnest($1, $2), or COPY; "
        "a driver's batch or pipeline mode at least."
    ),
    fires="\n".join(["INSERT INTO tags (id, name) VALUES (1, 'a');"] * FEWEST),
    passes="INSERT INTO tags (id, name) VALUES (1, 'a'), (2, 'b'), (3, 'c')",
    check_script=_check,
)
