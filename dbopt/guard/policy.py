"""What the guard says of a statement: a function of the statement, the rules and the time. Pure.

The rules are asked in the order of RULES, and the first that refuses gives the verdict its name.
A fingerprint that is allowed passes all of them but quarantine, which is later and for now; it
has no limit of rows or time either. A heavy statement goes by the lane even so: the lane refuses
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass

from dbopt.guard import words
from dbopt.guard.subject import writes_nothing
from dbopt.guard.words import Refusal
from dbopt.guardsettings import GuardRules
from dbopt.sql.query import Kind, Query
from dbopt.store.quarantine import Quarantine
from dbopt.verdict import Verdict
from dbopt.wire.sqlstate import SqlState

HEAVY = ("complex", "extreme")
"""The classes of statements that go by the lane."""

_CATALOGS = ("pg_catalog", "information_schema")


@dataclass(frozen=True, slots=True)
class Case:
    """All that a rule looks at. `cost` is the planner's, None where it is not known.

    `inside`: fingerprints of what the statement holds and runs, which may be denied too.
    """

    query: Query
    rules: GuardRules
    cost: float | None
    quarantined: Quarantine | None
    inside: Set[int] = frozenset()


def _quarantine(case: Case) -> Refusal | None:
    return words.quarantine(case.quarantined) if case.quarantined else None


def _deny(case: Case) -> Refusal | None:
    deny = case.rules.deny
    return words.deny() if deny and deny & {case.query.fingerprint, *case.inside} else None


def _read_only(case: Case) -> Refusal | None:
    query = case.query
    if not case.rules.read_only or writes_nothing(query):
        return None
    return words.read_only(query.kind)


def _ddl(case: Case) -> Refusal | None:
    if case.rules.ddl != "refuse":
        return None
    if case.query.ddl or case.query.kind is Kind.DDL:
        return words.ddl(Kind.DDL)
    return words.ddl(Kind.DCL) if case.query.kind is Kind.DCL else None


def _unqualified_write(case: Case) -> Refusal | None:
    if case.rules.unqualified_writes == "refuse" and case.query.unqualified:
        return words.unqualified_write()
    return None


def _complexity(case: Case) -> Refusal | None:
    limit, score = case.rules.max_complexity, case.query.complexity.score
    if _asks_the_catalog(case.query):
        return None
    return words.complexity(score, limit) if 0 < limit < score else None


def _asks_the_catalog(query: Query) -> bool:
    """A read of system catalogs alone: drivers (asyncpg), ORMs and pg_dump ask them at length.

    A cross join is none of theirs. What sqlglot cannot read may be asyncpg's, of types.
    """
    if not query.reads or query.kind is not Kind.READ:
        return False
    crossed = any("cross join" in reason.what for reason in query.complexity.reasons)
    return not crossed and all(
        one.schema in _CATALOGS or (not one.schema and one.name.startswith("pg_"))
        for one in query.reads
    )


def _cost(case: Case) -> Refusal | None:
    limit, cost = case.rules.max_cost, case.cost
    return words.cost(cost, limit) if cost is not None and 0 < limit < cost else None


@dataclass(frozen=True, slots=True)
class Rule:
    """A reason to refuse. A client gets `sqlstate`; `despite_allow`: the list does not help."""

    name: str
    sqlstate: SqlState
    check: Callable[[Case], Refusal | None]
    despite_allow: bool = False


RULES: tuple[Rule, ...] = (
    Rule("quarantine", SqlState.INSUFFICIENT_PRIVILEGE, _quarantine, despite_allow=True),
    Rule("deny", SqlState.INSUFFICIENT_PRIVILEGE, _deny),
    Rule("read-only", SqlState.READ_ONLY_SQL_TRANSACTION, _read_only),
    Rule("ddl", SqlState.INSUFFICIENT_PRIVILEGE, _ddl),
    # What the extension safeupdate gives: https://github.com/eradman/pg-safeupdate
    Rule("unqualified-write", SqlState.CARDINALITY_VIOLATION, _unqualified_write),
    Rule("complexity", SqlState.STATEMENT_TOO_COMPLEX, _complexity),
    Rule("cost", SqlState.STATEMENT_TOO_COMPLEX, _cost),
)
"""Every rule, the one that counts most first."""


def decide(
    query: Query,
    rules: GuardRules,
    cost: float | None = None,
    quarantined: Quarantine | None = None,
    now: float = 0.0,
    inside: Set[int] = frozenset(),
) -> Verdict:
    """The verdict on a statement. `now` is epoch seconds: a quarantine that has ended is none.
    `inside`: see Case.

    What the rules say does not depend on rules.mode, so that observing tells what enforcing
    would do.
    """
    if quarantined is not None and quarantined.expires <= now:
        quarantined = None
    allowed = query.fingerprint in rules.allow
    case = Case(query, rules, cost, quarantined, inside)
    for rule in RULES:
        refusal = None if allowed and not rule.despite_allow else rule.check(case)
        if refusal is not None:
            return _refused(rule, refusal, case)
    grade = query.complexity.grade
    return Verdict(
        score=query.complexity.score,
        grade=grade,
        heavy=grade in HEAVY and rules.heavy_share < 1,
        timeout=0.0 if allowed else rules.timeout(grade),
        # What it counts goes alone: a pipeline of writes must not pay for rows that it has not.
        max_rows=rules.max_rows if query.kind is Kind.READ and not allowed else 0,
    )


def _refused(rule: Rule, refusal: Refusal, case: Case) -> Verdict:
    query = case.query
    return Verdict(
        refused=True,
        rule=rule.name,
        sqlstate=rule.sqlstate,
        message=refusal.message,
        detail=words.detail(query, case.cost, refusal.detail),
        hint=words.hint(refusal.hint, query.fingerprint, may_be_allowed=not rule.despite_allow),
        score=query.complexity.score,
        grade=query.complexity.grade,
        expires=case.quarantined.expires if case.quarantined else 0.0,
    )


def needs_cost(query: Query, rules: GuardRules) -> bool:
    """Whether the planner is to be asked: only about a read, and where its answer can matter."""
    if rules.max_cost <= 0 or query.fingerprint in rules.allow:
        return False
    return query.kind is Kind.READ and query.read_only and query.parsed
