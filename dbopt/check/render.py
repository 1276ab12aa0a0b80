"""An outcome, and the list of rules, as people read them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dbopt.check.rule import Rule
from dbopt.check.run import Outcome
from dbopt.pg.shown import printable
from dbopt.settings import TABLE
from dbopt.sql.findings import Finding, Severity

SHOWN = 5
"""Objects of one rule and severity that the terminal shows."""
_COLOURS = {Severity.CRITICAL: "bold red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}


def terminal(outcome: Outcome) -> Group:
    """Findings by severity and rule, the gravest first; then who could not look; then the sum."""
    parts: list[RenderableType] = []
    for severity in sorted(Severity, reverse=True):
        found = [f for f in outcome.findings if f.examined and f.severity is severity]
        if found:
            parts.append(Text(severity.name, style=_COLOURS[severity]))
            parts += _rules(found)
    blind = [finding for finding in outcome.findings if not finding.examined]
    if blind:
        parts += [Text("NOT EXAMINED", style="magenta"), *_blind(blind)]
    return Group(*parts, Text(summary(outcome)))


def summary(outcome: Outcome) -> str:
    """One line: how many findings of what severity, and how many rules have none."""
    counts = outcome.counts()
    words = [f"{counts['critical']} critical", _number(counts["warning"], "warning")]
    if counts["info"]:
        words.append(f"{counts['info']} info")
    words.append(f"{_number(counts['fine'], 'rule')} fine")
    words.append(f"{counts['not_examined']} not examined")
    if counts["ignored"]:
        words.append(f"{counts['ignored']} ignored")
    return ", ".join(words)


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _rules(found: list[Finding]) -> Iterator[RenderableType]:
    groups: defaultdict[str, list[Finding]] = defaultdict(list)
    for finding in found:
        groups[finding.rule].append(finding)
    for rule, findings in groups.items():
        for finding in findings[:SHOWN]:
            yield _indented(2, rule, " ", finding.object, ": ", finding.message)
            if finding.remedy:
                yield Padding(
                    Text(printable(finding.remedy), style="dim"), (0, 0, 0, 4), expand=False
                )
        if len(findings) > SHOWN:
            yield _indented(2, rule, f": {len(findings) - SHOWN} more; --json shows all")


def _indented(indent: int, rule: str, *words: str) -> Padding:
    text = Text(rule, style="bold")
    text.append("".join(map(printable, words)), style="not bold")
    return Padding(text, (0, 0, 0, indent), expand=False)


def _blind(found: list[Finding]) -> Iterator[RenderableType]:
    """Each reason once, with the rules that it keeps from looking."""
    groups: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for finding in found:
        groups[finding.message, finding.remedy].append(finding.rule)
    for (message, remedy), rules in groups.items():
        names = ", ".join(dict.fromkeys(rules))
        yield _indented(2, names, ": ", message)
        yield Padding(Text(printable(remedy), style="dim"), (0, 0, 0, 4), expand=False)


def listed(rules: Iterable[Rule]) -> Table:
    """The rules, what each finds, and its thresholds."""
    table = Table("Check", "What it finds", "[check]", show_lines=False, pad_edge=False)
    table.columns[0].no_wrap = True
    for rule in rules:
        table.add_row(rule.name, _said(rule), "\n".join(rule.settings))
    return table


def markdown(rules: Iterable[Rule]) -> str:
    """The same as a document in Markdown, by group, with the thresholds' defaults."""
    groups: defaultdict[str, list[Rule]] = defaultdict(list)
    for rule in rules:
        groups[rule.group].append(rule)
    lines = ["# Health checks", "", *_INTRODUCTION]
    for group, members in groups.items():
        lines += ["", f"## {group}", "", "| Check | What it finds | Thresholds |", "|-|-|-|"]
        lines += [f"| {r.name} | {_said(r)} | {_thresholds(r)} |" for r in members]
    return "\n".join(lines) + "\n"


_INTRODUCTION = (
    "What `dbopt check` looks at. Made by `dbopt check --list --markdown`; the thresholds are",
    "settings of `[check]` in config.toml. A check that cannot look, for want of a privilege or on",
    "a server that has nothing to see, says *not examined* and what would mend it.",
)


def _said(rule: Rule) -> str:
    return " ".join(rule.doc.split())


def _thresholds(rule: Rule) -> str:
    found = (TABLE[f"check.{name}"] for name in rule.settings)
    return ", ".join(f"{s.name} = {s.default:,.15g} {s.unit}".rstrip() for s in found)


def to_list(rules: Iterable[Rule]) -> list[dict[str, object]]:
    """The rules for JSON."""
    return [
        {"rule": r.name, "group": r.group, "finds": _said(r), "settings": list(r.settings),
         "of_server": r.of_server}
        for r in rules
    ]  # fmt: skip
