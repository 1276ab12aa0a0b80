"""Finding: one thing that an audit, a check or a lint rule has to say."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import IntEnum
from typing import Any


class Severity(IntEnum):
    """How much a finding matters; a larger one first."""

    INFO = 10
    WARNING = 20
    CRITICAL = 30


@dataclass(frozen=True, slots=True)
class Finding:
    """One observation, its evidence and its remedy.

    `examined` is False where the rule could not look (a missing extension or privilege):
    then `remedy` holds the GRANT or setting that would let it. That is never "healthy".
    """

    rule: str
    severity: Severity
    object: str
    message: str
    evidence: dict[str, Any] = field(default_factory=dict)
    remedy: str = ""
    examined: bool = True

    def to_dict(self) -> dict[str, Any]:
        """The finding as JSON-ready types, severity by its lower-case name."""
        return {**asdict(self), "severity": self.severity.name.lower()}


def by_importance(findings: list[Finding]) -> list[Finding]:
    """The same findings, the gravest first, then by rule and object."""
    return sorted(findings, key=lambda f: (-f.severity, f.rule, f.object))
