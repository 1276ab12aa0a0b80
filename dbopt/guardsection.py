"""The settings of the guard: for all, and what one database, user, application or route has.

`dbopt.guardsettings` resolves them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dbopt.setting import instead, option


@dataclass(frozen=True, slots=True)
class Guard:
    """The guard: which statements may run, and how."""

    mode: str = option(
        "observe",
        "Whether statements are judged: not at all (off), only counted after they have run "
        "(observe), or before they run, and refused where a rule says so (enforce).",
        choices=("off", "observe", "enforce"),
        reload=True,
    )
    max_complexity: int = option(
        100,
        "Refuse a statement whose complexity scores above it. 0: no limit. Of several statements "
        "in one text the dearest counts; reads of PostgreSQL's catalogs alone may be complex, "
        "since drivers and ORMs ask so, but not with a cross join.",
        low=0,
        high=1_000_000_000,
        reload=True,
    )
    max_cost: float = option(
        0.0,
        "Refuse a read that PostgreSQL's planner estimates to cost more. 0: the planner is not "
        "asked.",
        unit="units of seq_page_cost",
        low=0,
        reload=True,
    )
    unqualified_writes: str = option(
        "refuse",
        "UPDATE and DELETE without a WHERE.",
        choices=("refuse", "allow"),
        reload=True,
    )
    ddl: str = option(
        "allow",
        "Statements that change what the database is made of: CREATE, ALTER, DROP, TRUNCATE, "
        "GRANT and REVOKE, and DO, which may hold them. What a function does inside is not seen.",
        choices=("allow", "refuse"),
        reload=True,
    )
    read_only: bool = option(False, "Refuse what is not certain to write nothing.", reload=True)
    max_rows: int = option(
        0,
        "A statement that returns more rows fails. 0: no limit.",
        low=0,
        high=1_000_000_000_000,
        reload=True,
    )
    timeout_simple: float = option(
        0.0, "Cancel a statement of class simple that runs longer. 0: never.",
        unit="s", low=0, reload=True,
    )  # fmt: skip
    timeout_moderate: float = option(
        0.0, "Cancel a statement of class moderate that runs longer. 0: never.",
        unit="s", low=0, reload=True,
    )  # fmt: skip
    timeout_complex: float = option(
        0.0, "Cancel a statement of class complex that runs longer. 0: never.",
        unit="s", low=0, reload=True,
    )  # fmt: skip
    timeout_extreme: float = option(
        0.0, "Cancel a statement of class extreme that runs longer. 0: never.",
        unit="s", low=0, reload=True,
    )  # fmt: skip
    heavy_share: float = option(
        0.5,
        "Statements of the classes complex and extreme have at most this share of a pool's "
        "max_size at once, and one connection at least. 1: all of it.",
        low=0,
        high=1,
        reload=True,
    )
    allow: str = option(
        "",
        "Fingerprints of statements that no rule refuses, separated by commas; but quarantine "
        "does.",
        reload=True,
    )
    deny: str = option(
        "",
        "Fingerprints of statements that are refused, separated by commas. One that is in allow "
        "too is allowed.",
        reload=True,
    )
    fail: str = option(
        "open",
        "A statement that no verdict comes for in time runs (open), or is refused (closed).",
        choices=("open", "closed"),
        reload=True,
    )
    verdict_timeout: float = option(
        0.5,
        "How long a statement waits for its first verdict.",
        unit="s",
        low=0.01,
        high=60,
        reload=True,
    )


def _guard(name: str) -> Any:
    return instead("guard", Guard, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardOverrides:
    """What a database, a user, an application or a route may have of the guard's settings."""

    guard_mode: str | None = _guard("mode")
    guard_max_complexity: int | None = _guard("max_complexity")
    guard_max_cost: float | None = _guard("max_cost")
    guard_unqualified_writes: str | None = _guard("unqualified_writes")
    guard_ddl: str | None = _guard("ddl")
    guard_read_only: bool | None = _guard("read_only")
    guard_max_rows: int | None = _guard("max_rows")
    guard_timeout_simple: float | None = _guard("timeout_simple")
    guard_timeout_moderate: float | None = _guard("timeout_moderate")
    guard_timeout_complex: float | None = _guard("timeout_complex")
    guard_timeout_extreme: float | None = _guard("timeout_extreme")
    guard_allow: str | None = _guard("allow")
    guard_deny: str | None = _guard("deny")
    guard_fail: str | None = _guard("fail")


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolGuardOverrides(GuardOverrides):
    """What a database or a user may have: also its pools' share for heavy statements."""

    guard_heavy_share: float | None = _guard("heavy_share")


@dataclass(frozen=True, slots=True)
class AppRoute(GuardOverrides):
    """One route of an application, as the sqlcommenter tag "route" of its statements names it."""
