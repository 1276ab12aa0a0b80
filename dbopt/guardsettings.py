"""GuardRules: the guard's settings as they hold for the statements of one client. Pure.

What a route has of its own comes first, then its application, its user, its database, [guard].
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from dbopt.guardsection import Guard, GuardOverrides
from dbopt.settings import Settings

__all__ = ["Guard", "GuardRules", "fingerprints", "guard_rules"]

ANY_DATABASE = "*"
"""The name of the section of all databases that have none of their own."""
_FINGERPRINT = re.compile(r"[0-9a-fA-F]{16}")


@dataclass(frozen=True, slots=True)
class GuardRules:
    """What [guard] says, resolved: a field means what the setting of its name means.

    Times are seconds; a limit or a time of 0 is none. Equal rules are one key of a dict.
    """

    mode: str = "observe"
    max_complexity: int = 100
    max_cost: float = 0.0
    unqualified_writes: str = "refuse"
    ddl: str = "allow"
    read_only: bool = False
    max_rows: int = 0
    timeout_simple: float = 0.0
    timeout_moderate: float = 0.0
    timeout_complex: float = 0.0
    timeout_extreme: float = 0.0
    heavy_share: float = 0.5
    allow: frozenset[int] = frozenset()
    deny: frozenset[int] = frozenset()
    fail: str = "open"
    verdict_timeout: float = 0.5

    @property
    def enforced(self) -> bool:
        """Whether statements are judged before they run."""
        return self.mode == "enforce"

    @property
    def fails_closed(self) -> bool:
        """Whether a statement is refused that no verdict comes for in time."""
        return self.fail == "closed"

    def timeout(self, grade: str) -> float:
        """Seconds that a statement of this class may run; 0 for no limit."""
        return {
            "simple": self.timeout_simple,
            "moderate": self.timeout_moderate,
            "complex": self.timeout_complex,
            "extreme": self.timeout_extreme,
        }.get(grade, 0.0)


_NAMES = tuple(field.name for field in fields(Guard))
_LISTS = ("allow", "deny")


def guard_rules(
    settings: Settings, database: str, user: str, application: str, route: str = ""
) -> GuardRules:
    """The rules for statements of that database, user, application and route.

    The names are the client's words. `route` is the sqlcommenter tag, "" where there is none.
    """
    databases = settings.databases
    found = (
        settings.routes.get(route),
        settings.applications.get(application),
        settings.users.get(user),
        databases.get(database) or databases.get(ANY_DATABASE),
    )
    own = [section for section in found if section is not None]
    values = {name: _resolved(settings.guard, own, name) for name in _NAMES}
    return GuardRules(**values | {name: fingerprints(values[name]) for name in _LISTS})


def _resolved(guard: Guard, own: Iterable[GuardOverrides], name: str) -> Any:
    for section in own:
        value = getattr(section, f"guard_{name}", None)
        if value is not None:
            return value
    return getattr(guard, name)


def fingerprints(text: str) -> frozenset[int]:
    """The fingerprints of a list with commas; what is none is left out (configcheck refuses it)."""
    words = (word.strip() for word in text.split(","))
    return frozenset(int(word, 16) for word in words if _FINGERPRINT.fullmatch(word))
