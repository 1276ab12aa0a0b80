"""What every migration rule is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from dbopt.sql.ddl.elements import Span
from dbopt.sql.ddl.model import Alter, Drop, Node
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Migration, Subject

_Action = TypeVar("_Action", bound=Node)


class Group(StrEnum):
    """What a rule is about."""

    INDEX = "index"
    LOCKING = "locking"
    TYPE = "type"
    ROBUSTNESS = "robustness"
    DATA = "data"


@dataclass(frozen=True, slots=True)
class Match:
    """One place where a rule fires: `at`, or the whole statement where that is None.

    `remedy` and `severity` are this case's own, else the rule's are given. `instead` is the safe
    way as SQL, "" where it cannot be told from the text. `examined` is False where nobody could
    look.
    """

    subject: Subject
    message: str
    at: Span | None = None
    remedy: str = ""
    severity: Severity | None = None
    evidence: dict[str, Any] = field(default_factory=dict)
    instead: str = ""
    examined: bool = True


@dataclass(frozen=True, slots=True)
class Rule:
    """One migration rule; each file of this package has one, as RULE.

    `reason` says which lock is taken and who waits, or what else goes wrong; `remedy` is the safe
    way. `fires` is a migration in which it finds something and `passes` one, as like it as can
    be, in which it finds nothing, both read with the defaults of lint_migration. A rule about one
    statement has `check`, which never sees an Other or a Transaction; one about several has
    `check_migration`. `squawk` is what squawk 2.70
    calls it, "" where it has no such rule; `aliases` are names of it that markers may use too.
    `default` is False for a rule that has to be asked for.
    """

    name: str
    severity: Severity
    group: Group
    summary: str
    reason: str
    remedy: str
    fires: str
    passes: str
    check: Callable[[Subject], Iterable[Match]] | None = None
    check_migration: Callable[[Migration], Iterable[Match]] | None = None
    squawk: str = ""
    aliases: tuple[str, ...] = ()
    default: bool = True


def dropped(subject: Subject, *kinds: str) -> str:
    """The names of what DROP takes away of these kinds, "" for nothing.

    What the text itself has made is left out; so is what it has named, or makes again at once,
    unless that loses data.
    """
    drop = subject.does
    if not isinstance(drop, Drop) or drop.kind not in kinds:
        return ""
    names = [name for name in drop.names if not subject.is_new(name, drop.kind)]
    if drop.kind not in _HOLDS_DATA:
        names = [
            name
            for name in names
            if not (subject.is_named(name, drop.kind) or subject.comes_back(name, drop.kind))
        ]
    return ", ".join(map(str, names))


_HOLDS_DATA = frozenset({"table", "foreign table", "schema", "sequence", "extension"})


def altered(
    subject: Subject, action: type[_Action], *, new: bool = False
) -> Iterator[tuple[Alter, _Action]]:
    """The actions of this class that ALTER TABLE takes on a table, unless the text has made it.

    `new`: on a new table too.
    """
    node = subject.does
    if not isinstance(node, Alter) or node.kind not in {"table", "foreign table"}:
        return
    if not new and subject.is_new(node.target):
        return
    for one in node.actions:
        if isinstance(one, action):
            yield node, one
