"""What the commands that lint share: their options, how they show findings, and how they end."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import wraps
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

_Rule = TypeVar("_Rule", bound=LintRule)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the shared options say; see `options`."""

    names: tuple[str, ...]
    ignored: tuple[str, ...]
    list_rules: bool
    fail_on: str
    form: str


def options(fail_on: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """--rule, --ignore, --rules, --fail-on, --format and --json, in this order.

    The command gets them as one parameter, `asked`: an Asked.
    """
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

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def run(*given: Any, as_json: bool, form: str, **named: Any) -> None:
            shared = {one: named.pop(one) for one in ("names", "ignored", "list_rules", "fail_on")}
            command(*given, asked=Asked(**shared, form="json" if as_json else form), **named)

        decorated: Callable[..., None] = run
        for option in reversed(added):
            decorated = option(decorated)
        return decorated

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


def list_rules(context: Context, rules: Sequence[LintRule], asked: Asked) -> None:
    """All rules and why they are rules: a table, or JSON."""
    if asked.form != "json":
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
    asked: Asked,
    *,
    fold: bool = False,
) -> None:
    """The findings in one of the forms, on standard output.

    With `fold` what nobody has asked to be strict about is told briefly, and once.
    """
    if asked.form == "json":
        print_json([one.to_dict() for one in said])
    elif asked.form == "github":
        # No finding is no line, rather than an empty one.
        if lines := github(said):
            click.echo(lines)
    else:
        strict = asked.fail_on == "info" or not fold
        show_findings(context.console, said, texts, Severity.INFO if strict else Severity.WARNING)


def leave(said: Sequence[Said], asked: Asked) -> None:
    """End with 2 where a text could not be read, and with 1 for what --fail-on counts."""
    if any(one.is_mistake or one.finding.rule == UNREAD for one in said):
        sys.exit(EXIT_USAGE)
    least = SEVERITIES.get(asked.fail_on)
    counted = [one.finding for one in said if one.finding.examined]
    if least is not None and any(finding.severity >= least for finding in counted):
        sys.exit(EXIT_FINDINGS)
