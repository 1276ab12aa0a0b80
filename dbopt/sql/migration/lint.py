"""The migration lint: every rule over the statements of a migration, with their places. PURE."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from heapq import nsmallest
from itertools import islice
from typing import Any

from dbopt.sql.ddl.elements import Span
from dbopt.sql.ddl.model import Statement, Transaction, Within
from dbopt.sql.findings import Finding, Severity
from dbopt.sql.lint import MOST_FINDINGS, MOST_OF_A_RULE
from dbopt.sql.migration import DEFAULT_RULES, RULES, tools
from dbopt.sql.migration.context import Migration, migration
from dbopt.sql.migration.ignore_without_reason import RULE as NO_REASON
from dbopt.sql.migration.support import Group, Match, Rule
from dbopt.sql.split import located, position
from dbopt.sql.suppress import Suppressions

__all__ = ["DEFAULT_RULES", "RULES", "lint_migration"]

_MOST_MATCHES = 20 * MOST_FINDINGS


def lint_migration(
    text: str,
    *,
    rules: Sequence[Rule] = DEFAULT_RULES,
    ignore: Collection[str] = (),
    in_transaction: bool = False,
    version: int = 18,
    known: Collection[str] = (),
    limit: int = MOST_FINDINGS,
) -> list[Finding]:
    """What the rules have to say of a migration of one statement or several, in its order.

    A finding's object is "line:column", both from 1, and its evidence has `line`, `column`,
    `end_line`, `end_column` (one past the last character), `statement` (its number, from 1),
    `group` (of the rule), `instead` (the safe way as SQL, where it can be told from the text; a
    proposal), `within` (the DO block or the function that it is in, if it is; of a function
    `called_line` too, which the message tells), and what the rule adds. `ignore` names rules to
    leave out, also by the names that squawk has for them.

    `in_transaction`: the tool that runs the text opens a transaction around it; the text may say
    otherwise with its tool's own words, see dbopt.sql.migration.tools; the part of it that takes
    the migration back is not looked at. `version` is PostgreSQL's
    major version. `known` has tables (`name` or `schema.name`) that are as new as those that the
    text makes, since an earlier text of the same deploy has made them.

    In the text, a comment `dbopt:ignore RULE[, RULE] reason` (or `all`), or `squawk-ignore RULE`,
    takes findings back: see dbopt.sql.suppress. What could not be looked at is a finding that was
    not examined. At most `limit` findings are given, the gravest of them. Never raises.
    """
    wanted = [rule for rule in rules if not _names(rule) & set(ignore)]
    assumed = tools.in_transaction(text, usual=in_transaction)
    whole = migration(text, in_transaction=assumed, version=version, known=known)
    # Of too many the gravest are told, whatever stands first.
    found = islice(_uncovered(whole, wanted), _MOST_MATCHES)
    kept = nsmallest(limit, found, key=lambda one: one[0])
    kept.sort(key=lambda one: (_place_of(one[2]).start, one[0]))
    return [_finding(whole, rule, match) for _, rule, match in kept]


def _names(rule: Rule) -> set[str]:
    return {rule.name, *([rule.squawk] if rule.squawk else []), *rule.aliases}


def aliases() -> dict[str, list[str]]:
    """Other names that markers may use → the rules that they mean."""
    found: dict[str, list[str]] = {}
    for rule in RULES:
        for name in _names(rule) - {rule.name}:
            found.setdefault(name, []).append(rule.name)
    return found


def _uncovered(
    whole: Migration, rules: Sequence[Rule]
) -> Iterator[tuple[tuple[int, int], Rule, Match]]:
    """What no marker takes back, each with its rank: the gravest first, and as it was found."""
    suppressions = Suppressions(whole, aliases())
    for count, (rule, match) in enumerate(_matches(whole, rules)):
        statement, at = match.subject.statement, _place_of(match).start
        if rule is NO_REASON or not _covered(suppressions, rule, statement, at):
            yield (-_severity(whole, rule, match), count), rule, match


def _place_of(match: Match) -> Span:
    return match.at or match.subject.does.at


def _severity(whole: Migration, rule: Rule, match: Match) -> Severity:
    if rule.group is Group.TYPE and whole.is_dump:
        return Severity.INFO
    return rule.severity if match.severity is None else match.severity


def _covered(suppressions: Suppressions, rule: Rule, one: Statement, offset: int) -> bool:
    """Whether a marker speaks of the statement, or of the code that it is a part of."""
    if suppressions.cover(rule.name, one, offset):
        return True
    return one.within is not None and _covered(suppressions, rule, one.within.holder, offset)


def _matches(whole: Migration, rules: Sequence[Rule]) -> Iterator[tuple[Rule, Match]]:
    single = [(rule, rule.check) for rule in rules if rule.check is not None]
    for subject in whole.telling:
        if isinstance(subject.does, Transaction):
            continue
        for rule, check in single:
            for match in islice(check(subject), MOST_OF_A_RULE):
                yield rule, match
    for rule in rules:
        if rule.check_migration is not None:
            for match in islice(rule.check_migration(whole), MOST_FINDINGS):
                yield rule, match


_OUTSIDE = "-- outside of the block, and of a transaction:\n"


def _finding(whole: Migration, rule: Rule, match: Match) -> Finding:
    place = located(whole.text, *_place_of(match))
    evidence: dict[str, Any] = {
        **place,
        "statement": match.subject.statement.number,
        "group": rule.group.value,
        **match.evidence,
    }
    if match.instead:
        outside = match.subject.within is not None and "CONCURRENTLY" in match.instead
        evidence["instead"] = whole.restored(_OUTSIDE * outside + match.instead)
    severity = _severity(whole, rule, match)
    where = f"{place['line']}:{place['column']}"
    remedy = match.remedy or rule.remedy
    message = whole.restored(match.message)
    if (within := match.subject.within) is not None:
        told, in_words = _stands(whole.text, _outermost(within))
        evidence |= told
        message = f"{message} {in_words}"
    return Finding(rule.name, severity, where, message, evidence, remedy, examined=match.examined)


def _outermost(within: Within) -> Within:
    while within.holder.within is not None:
        within = within.holder.within
    return within


def _stands(text: str, outer: Within) -> tuple[dict[str, Any], str]:
    """Where code runs, as evidence and in words."""
    if outer.caller is outer.holder:
        return {"within": outer.name}, f"This is in {outer.name}."
    line, _ = position(text, outer.caller.start)
    return {"within": outer.name, "called_line": line}, called(outer.name, line)


def called(name: str, line: int) -> str:
    """The words for a function's code that is called in a line."""
    return f"This is in {name}, which is called in line {line}."
