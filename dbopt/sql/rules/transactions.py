"""The transactions of a script, and the runs of one statement in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dbopt.sql.query import Kind
from dbopt.sql.script import Script, Subject

_BEGINS = frozenset({"begin", "start"})
_SPOTS = frozenset({"savepoint", "release", "set"})
"""Commands of the kind TRANSACTION that end none."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Statements that run in one transaction, or, if `explicit` is False, outside of any."""

    subjects: tuple[Subject, ...]
    explicit: bool


def stretches(script: Script) -> Iterator[Stretch]:
    """The script cut at BEGIN, COMMIT, ROLLBACK and their like; these are in none of the parts."""
    inside, explicit = list[Subject](), False
    for subject in script.subjects:
        if subject.judged.does.kind is not Kind.TRANSACTION:
            inside.append(subject)
            continue
        words = subject.judged.statement.words
        if _stays(words):
            continue
        if inside:
            yield Stretch(tuple(inside), explicit)
        # COMMIT AND CHAIN begins the next one.
        inside, explicit = [], words[0] in _BEGINS or words[-2:] == ("and", "chain")
    if inside:
        yield Stretch(tuple(inside), explicit)


def _stays(words: tuple[str, ...]) -> bool:
    return words[0] in _SPOTS or (words[0] == "rollback" and "to" in words)
