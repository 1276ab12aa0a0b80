"""What the commands that lint share: their options, how they show findings, and how they end."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click

from dbopt.cli.context import Context, print_json
from dbopt.cli.querylint import Said
from dbopt.cli.queryshow import LintRule, github, rules_table, show_findings
from dbopt.cli.querytext import Source
from dbopt.errors import EXIT_FINDINGS, EXIT_USAGE, UsageError
from dbopt.sql.findings import Severity

SEVERITIES = {severity.name.lower(): severity for severity in Severity}
NEVER = "never"
UNREAD = "unread"
"""The migration rule for a statement that no rule could look at, so that nothing speaks for it."""

_Command = TypeVar("_Command", bound=Callable[..., Any])


_Rule = TypeVar("_Rule", bound=LintRule)


def options(fail_on: str) -> Callable[[_Command], _Command]:
    """--rule, --ignore, --rules, --fail-on, --format and --json, in this order."""
    added = (
        click.option(
            "--rule", "names", multiple=True, metavar="NAME", help="Only this rule; repeatable."
        ),
        click.option("--ignore", "ignored", multiple=True, metavar="NAME", help="Not this rule."),
        click.option(
            "--rules", "list_rules", is_flag=True, help="List the rules, and why they are."
        ),
        click.option(
            "--fail-on", type=click.Choice([*SEVERITIES, NEVER]), default=fail_on,
            show_default=True, help="The least severity for which it exits 1.",
        ),
        click.option(
            "--format", "form", type=click.Choice(["text", "json", "github"]), default="text",
            show_default=True, help="github annotates a pull request.",
        ),
        click.option("--json", "as_json", is_flag=True, help="The same as --format json."),
    )  # fmt: skip

    def decorate(command: _Command) -> _Command:
        for option in reversed(added):
            command = option(command)
        return command

    return decorate


def chosen(
    rules: Iterable[_Rule],
    names: Sequence[str],
    ignored: Sequence[str],
    command: str,
    also: Sequence[str] = (),
) -> tuple[_Rule, ...]:
    """The rules of these names, or all, but for the ignored ones.

    `also`: names that no rule has and that may be given. Raises UsageError for a name that is
    none's.
    """
    known = {rule.name: rule for rule in rules}
    for name in (*names, *ignored):
        if name not in known and name not in also:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"`{command} --rules` lists all."
            raise UsageError(f"{name}: there is no such rule.", hint=hint)
    return tuple(
        rule for name, rule in known.items() if (not names or name in names) and name not in ignored
    )


def list_rules(context: Context, rules: Sequence[LintRule], form: str) -> None:
    """All rules and why they are rules: a table, or JSON."""
    if form != "json":
        context.console.print(rules_table(rules))
        return
    names = ("name", "summary", "reason", "remedy")
    print_json(
        [
            {name: getattr(rule, name) for name in names}
            | {
                "needs_schema": getattr(rule, "needs_schema", False),
                "severity": rule.severity.name.lower(),
                "example": rule.fires,
            }
            for rule in rules
        ]
    )


def show(
    context: Context,
    said: Sequence[Said],
    texts: Sequence[Source],
    form: str,
    fold: Severity = Severity.INFO,
) -> None:
    """The findings in one of the forms, on standard output; `fold` as show_findings has it."""
    if form == "json":
        print_json([one.to_dict() for one in said])
    elif form == "github":
        # No finding is no line, rather than an empty one.
        if lines := github(said):
            click.echo(lines)
    else:
        show_findings(context.console, said, texts, fold)


def leave(said: Sequence[Said], fail_on: str) -> None:
    """End with 2 where a text could not be read, and with 1 for what `fail_on` counts."""
    if any(one.is_mistake or one.finding.rule == UNREAD for one in said):
        sys.exit(EXIT_USAGE)
    least = SEVERITIES.get(fail_on)
    counted = [one.finding for one in said if one.finding.examined]
    if least is not None and any(finding.severity >= least for finding in counted):
        sys.exit(EXIT_FINDINGS)
