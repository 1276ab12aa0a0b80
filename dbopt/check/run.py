"""Runs the rules: over one Health, which is pure, and over a server with all its databases."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

from dbopt.check.rule import Rule
from dbopt.check.rules import RULES
from dbopt.checksettings import Check
from dbopt.errors import DboptError, UsageError
from dbopt.pg.connect import connect_async
from dbopt.pg.health import Health, read
from dbopt.pg.healthparts import Server
from dbopt.pg.healthunseen import Unseen
from dbopt.sql.findings import Finding, Severity, by_importance


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a round of rules found. `rules` ran; `ignored` findings were left out as asked.

    `measures` are numbers that tools draw: (value, unit) by name.
    """

    server: Server
    databases: tuple[str, ...]
    rules: tuple[str, ...]
    findings: tuple[Finding, ...]
    ignored: int = 0
    seconds: float = 0.0
    measures: dict[str, tuple[float, str]] = field(default_factory=dict)

    @property
    def worst(self) -> Severity | None:
        """The gravest severity of what was examined; None where all is fine."""
        return max((f.severity for f in self.findings if f.examined), default=None)

    def counts(self) -> dict[str, int]:
        """Findings by severity; rules that are fine, and that could not look (everywhere)."""
        found = Counter(f.severity.name.lower() for f in self.findings if f.examined)
        blind = {f.rule for f in self.findings if not f.examined}
        fine = set(self.rules) - {f.rule for f in self.findings}
        return {
            **{s.name.lower(): found[s.name.lower()] for s in sorted(Severity, reverse=True)},
            "fine": len(fine),
            "not_examined": len(blind),
            "ignored": self.ignored,
        }

    def by_rule(self) -> dict[tuple[str, str], int]:
        """Findings by rule and severity; severity "not_examined" for rules that could not look.

        Every rule that ran has its "critical" and "warning", 0 where there is none.
        """
        found = Counter(
            (f.rule, f.severity.name.lower() if f.examined else "not_examined")
            for f in self.findings
        )
        zeros = {(rule, severity): 0 for rule in self.rules for severity in ("critical", "warning")}
        return zeros | dict(found)

    def to_dict(self) -> dict[str, Any]:
        """For JSON: the server, the counts, and every finding, the gravest first."""
        server = self.server
        return {
            "taken_at": server.now.isoformat(),
            "server_version": f"{server.major}.{server.minor}",
            "in_recovery": server.in_recovery,
            "databases": list(self.databases),
            "seconds": round(self.seconds, 3),
            "summary": self.counts(),
            "measures": {name: value for name, (value, _) in self.measures.items()},
            "findings": [finding.to_dict() for finding in self.findings],
        }


def choose(only: Sequence[str] = (), skip: Sequence[str] = ()) -> tuple[Rule, ...]:
    """The rules of these names, or all, but for those to skip. Raises UsageError."""
    known = [rule.name for rule in RULES]
    for name in (*only, *skip):
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"Did you mean {near[0]}?" if near else "`dbopt check --list` shows them all."
            raise UsageError(f"{name}: there is no such check.", hint=hint)
    return tuple(r for r in RULES if (not only or r.name in only) and r.name not in skip)


def judge(health: Health, limits: Check, rules: Iterable[Rule] = RULES) -> list[Finding]:
    """What the rules find, the gravest first. Pure: the same health gives the same findings."""
    found: list[Finding] = []
    for rule in rules:
        unseen = {name: health.unseen[name] for name in rule.needs if name in health.unseen}
        if all(part.partly for part in unseen.values()):
            found += rule.find(health, limits)
        found += [rule.blind(_place(rule, health), part) for part in _distinct(unseen)]
    return by_importance(found)


def _place(rule: Rule, health: Health) -> str:
    return "server" if rule.of_server else health.server.database


def _distinct(unseen: dict[str, Unseen]) -> list[Unseen]:
    return list(dict.fromkeys(unseen.values()))


async def check(
    dsn: str,
    limits: Check,
    rules: Sequence[Rule] = RULES,
    *,
    all_databases: bool = False,
    connect_timeout: float = 5.0,
    statement_timeout: float = 10.0,
) -> Outcome:
    """Look at the server that `dsn` leads to, and run the rules.

    It takes a connection of its own, since a pool's would hide the server's timeouts behind its
    own. Raises ConnectError, AuthenticationError, QueryFailed or ServerLost.
    """
    start = time.monotonic()
    async with await connect_async(dsn, timeout=connect_timeout) as connection:
        health = await read(connection, statement_timeout)
    found = judge(health, limits, rules)
    names = [health.server.database]
    if all_databases:
        found = [_placed(rules, names[0], finding) for finding in found]
        local = [rule for rule in rules if not rule.of_server]
        for name in _others(health):
            names.append(name)
            found += await _elsewhere(dsn, name, limits, local, connect_timeout, statement_timeout)
    kept, ignored = _without_ignored(found, limits.ignore)
    return Outcome(
        server=health.server,
        databases=tuple(names),
        rules=tuple(rule.name for rule in rules),
        findings=tuple(by_importance(kept)),
        ignored=ignored,
        seconds=time.monotonic() - start,
        measures=measures(health),
    )


async def _elsewhere(
    dsn: str,
    name: str,
    limits: Check,
    rules: Sequence[Rule],
    connect_timeout: float,
    statement_timeout: float,
) -> list[Finding]:
    """What the rules find in another database of the server."""
    try:
        async with await connect_async(dsn, timeout=connect_timeout, dbname=name) as connection:
            health = await read(connection, statement_timeout, of_server=False)
    except DboptError as error:
        unseen = Unseen(error.message, error.hint or "Let dbopt's role connect to it.")
        return [_named(name, rule.blind(name, unseen)) for rule in rules]
    return [_named(name, finding) for finding in judge(health, limits, rules)]


def _others(health: Health) -> list[str]:
    """The databases that one can connect to, but for this one and the templates."""
    return sorted(
        d.name
        for d in health.databases
        if d.allows_connections and not d.template and d.connection_limit != -2
        and d.name not in ("", health.server.database)
    )  # fmt: skip


def _placed(rules: Sequence[Rule], database: str, finding: Finding) -> Finding:
    local = {rule.name for rule in rules if not rule.of_server}
    return _named(database, finding) if finding.rule in local else finding


def _named(database: str, finding: Finding) -> Finding:
    """The finding with the database before its object: names are told apart only within one."""
    if finding.object == database:
        return finding
    return replace(finding, object=f"{database}/{finding.object}")


def _without_ignored(found: list[Finding], ignore: str) -> tuple[list[Finding], int]:
    """The findings that no pattern of check.ignore names, and how many were left out."""
    patterns = [word.strip() for word in ignore.split(",") if word.strip()]
    kept = [f for f in found if not any(_matches(f, pattern) for pattern in patterns)]
    return kept, len(found) - len(kept)


def _matches(finding: Finding, pattern: str) -> bool:
    rule, colon, place = pattern.partition(":")
    return fnmatchcase(finding.rule, rule) and (not colon or fnmatchcase(finding.object, place))


def measures(health: Health) -> dict[str, tuple[float, str]]:
    """Numbers that tools draw: (value, unit in Nagios' words) by name."""
    sessions = [s for s in health.sessions if s.kind == "client backend"]
    ages = [s.transaction_seconds or 0.0 for s in sessions]
    return {
        "connections": (len(sessions) + 1, ""),
        "blocked_sessions": (sum(bool(s.blocked_by) for s in health.sessions), ""),
        "oldest_transaction": (round(max(ages, default=0.0), 1), "s"),
        "oldest_xid_age": (max((d.xid_age for d in health.databases), default=0), ""),
        "slot_retained": (max((s.retained_bytes or 0 for s in health.slots), default=0), "B"),
    }
