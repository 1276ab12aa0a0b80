"""What a test asks of one rule."""

from __future__ import annotations

from dbopt.sql.rules.support import Match, Rule
from dbopt.sql.schema import Schema
from dbopt.sql.script import Script, script


def matches(rule: Rule, text: str, schema: Schema | None = None) -> list[Match]:
    """All that the rule finds in a text."""
    return matches_of(rule, script(text, schema))


def matches_of(rule: Rule, whole: Script) -> list[Match]:
    """All that the rule finds in a script."""
    found = list(rule.check_script(whole)) if rule.check_script is not None else []
    for subject in whole.subjects:
        found += list(rule.check(subject)) if rule.check is not None else []
    return found


def rewrites(rule: Rule, text: str, schema: Schema | None = None) -> list[str]:
    """The rewrites that the rule proposes for a text."""
    return [match.rewrite for match in matches(rule, text, schema) if match.rewrite]
