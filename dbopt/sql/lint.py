"""Lint: every rule over every statement of a text, as findings with their places. PURE."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from dbopt.sql.findings import Finding, Severity
from dbopt.sql.fingerprint import fingerprint_hex
from dbopt.sql.place import Layout
from dbopt.sql.query import Kind
from dbopt.sql.rules import RULES
from dbopt.sql.rules.support import Match, Rule
from dbopt.sql.schema import Schema
from dbopt.sql.script import Script, Subject, script
from dbopt.sql.split import located
from dbopt.sql.suppress import Suppressions

__all__ = ["MOST_FINDINGS", "RULES", "UNPARSED", "lint"]

_Checked = TypeVar("_Checked")

MOST_FINDINGS = 500
"""Findings of one text. Whoever has more has seen enough of them."""
MOST_OF_A_RULE = 20
"""Findings of one rule in one statement: each may cost a copy of the tree."""
UNPARSED = "unparsed"
"""The rule that names a statement which no other rule could look at."""

_NEEDS_CATALOG = "Not examined: the rule needs the catalog of the database."
_CONNECT = "Give a database to look at, such as `dbopt query lint --dsn ...`."
_CANNOT_READ = "The statement could not be parsed, so no rule has looked at it."
_SIMPLIFY = (
    "Check its syntax. If PostgreSQL takes it, the parser lacks that form: no harm is known."
)


def lint(
    text: str,
    schema: Schema | None = None,
    rules: Sequence[Rule] = RULES,
    ignore: Collection[str] = (),
    limit: int = MOST_FINDINGS,
) -> list[Finding]:
    """What the rules have to say of a text of one statement or several, in the text's order.

    A finding's object is "line:column", both from 1, and its evidence has `line`, `column`,
    `end_line`, `end_column` (one past the last character), `statement` (its number, from 1),
    `fingerprint` (16 hexadecimal digits), `rewrite` (the whole statement, written better) where
    there is one, and what the rule adds. `ignore` names rules to leave out. In the text, a
    comment `dbopt:ignore RULE[, RULE] reason` (or `all`) takes findings back: see
    dbopt.sql.suppress. A statement that cannot be parsed is one finding, "unparsed"; a rule that
    needs a schema and has none is one that was not examined, last of all. At most `limit`
    findings are given. Never raises.
    """
    wanted = [rule for rule in rules if rule.name not in ignore]
    whole = script(text, schema)
    blind = [rule for rule in wanted if rule.needs_schema and schema is None]
    active = [rule for rule in wanted if rule not in blind]
    found = list(islice(_places(whole, active, ignore), limit))
    found.sort(key=lambda one: one[:2])
    findings = [finding for _, _, finding in found]
    if whole.subjects:
        findings += [_unexamined(rule) for rule in blind]
    return findings[:limit]


_Placed = tuple[int, int, Finding]


def _places(whole: Script, rules: Sequence[Rule], ignore: Collection[str]) -> Iterator[_Placed]:
    """The findings that no marker takes back, each with its offset and its own number."""
    suppressions = Suppressions(whole)
    numbers = {subject.start: at for at, subject in enumerate(whole.subjects, start=1)}
    layouts = {one.start: Layout(one.judged.source) for one in whole.subjects}
    for count, (rule, match) in enumerate(_matches(whole, rules, ignore)):
        start, end = layouts[match.subject.start].span(match.node)
        if not suppressions.cover(rule.name, match.subject, start):
            number = numbers[match.subject.start]
            yield start, count, _finding(whole.text, rule, match, (start, end), number)


def _matches(
    whole: Script, rules: Sequence[Rule], ignore: Collection[str]
) -> Iterator[tuple[Rule, Match]]:
    for subject in whole.subjects:
        if UNPARSED not in ignore and _is_unread(subject):
            yield _UNPARSED_RULE, Match(subject, _CANNOT_READ)
        for rule in rules:
            if rule.check is not None:
                yield from _tried(rule, rule.check, subject, MOST_OF_A_RULE)
    for rule in rules:
        if rule.check_script is not None:
            yield from _tried(rule, rule.check_script, whole, MOST_FINDINGS)


def _tried(
    rule: Rule, check: Callable[[_Checked], Iterable[Match]], what: _Checked, most: int
) -> list[tuple[Rule, Match]]:
    try:
        return [(rule, match) for match in islice(check(what), most)]
    except RecursionError:
        # sqlglot walks, copies and prints by recursion in places. A tree as deep as that is
        # nobody's statement.
        return []


def _is_unread(subject: Subject) -> bool:
    does = subject.judged.does
    return not does.parsed and does.kind is not Kind.DDL


def _finding(text: str, rule: Rule, match: Match, place: tuple[int, int], number: int) -> Finding:
    located_at = located(text, *place)
    evidence: dict[str, Any] = {
        **located_at,
        "statement": number,
        "fingerprint": fingerprint_hex(match.subject.fingerprint),
        **match.evidence,
    }
    # Of EXPLAIN, COPY or CREATE AS, the tree is a part: a rewrite of it is no whole statement.
    if match.rewrite and match.subject.judged.inner is None:
        evidence["rewrite"] = match.rewrite
    severity = rule.severity if match.severity is None else match.severity
    remedy = match.remedy or rule.remedy
    where = f"{located_at['line']}:{located_at['column']}"
    return Finding(rule.name, severity, where, match.message, evidence, remedy)


def _unexamined(rule: Rule) -> Finding:
    return Finding(rule.name, Severity.INFO, "", _NEEDS_CATALOG, {}, _CONNECT, examined=False)


_UNPARSED_RULE = Rule(
    name=UNPARSED,
    severity=Severity.INFO,
    summary="A statement that could not be parsed.",
    reason="No rule can look at it, so it is not known to be free of what they find.",
    remedy=_SIMPLIFY,
    fires="selec 1",
    passes="select 1",
)
