"""What a health rule is: a pure function of a Health and the thresholds that gives findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from dbopt.checksettings import Check
from dbopt.pg.health import DATABASE_PARTS, Health
from dbopt.pg.healthunseen import Unseen
from dbopt.sql.findings import Finding, Severity

Found = Iterator[Finding]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `doc` says what it finds and why that matters.

    `needs`: the parts of Health without which it says nothing, and "counters" where it is of no
    use on a standby. `settings`: the thresholds of [check] that it uses.
    """

    name: str
    group: str
    doc: str
    find: Callable[[Health, Check], Found]
    needs: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()

    @property
    def of_server(self) -> bool:
        """Whether it finds the same from every database of the server."""
        return not set(self.needs) & (set(DATABASE_PARTS) | {"counters"})

    def says(
        self, severity: Severity, object: str, message: str, remedy: str = "", **evidence: Any
    ) -> Finding:
        """A finding of this rule."""
        return Finding(self.name, severity, object, message, evidence, remedy)

    def blind(self, object: str, unseen: Unseen) -> Finding:
        """The finding that this rule could not look, or not everywhere."""
        return Finding(
            self.name, Severity.INFO, object, unseen.reason, {}, unseen.remedy, examined=False
        )
