"""How `dbopt query` shows what it found: for people, and as GitHub's annotations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Protocol

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dbopt.cli.querylint import Said
from dbopt.cli.querytext import Source
from dbopt.pg.rewrite import RewriteCheck
from dbopt.pg.shown import printable
from dbopt.sql.findings import Severity
from dbopt.sql.query import Complexity

COLOURS = {Severity.CRITICAL: "red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}
GRADES = {"simple": "green", "moderate": "cyan", "complex": "yellow", "extreme": "red"}

_LEVELS = {Severity.CRITICAL: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}
_NARROWEST = 40
_SHOWN_STATEMENT = 100
"""Characters of a statement in a heading."""


def show_findings(
    console: Console,
    said: Sequence[Said],
    sources: Sequence[Source],
    fold: Severity = Severity.INFO,
) -> None:
    """Each finding with its line, its remedy and its rewrite; then how many there are.

    Those below `fold` are shown without their line, and what repeats once.
    """
    placed = [one for one in said if one.finding.examined]
    folded = _folded(placed, fold)
    for one, others in folded:
        if one.finding.severity < fold:
            _show_briefly(console, one, others)
        else:
            _show_finding(console, one)
    if any(one.finding.severity < fold for one in placed):
        console.print()
    _show_unexamined(console, [one for one in said if not one.finding.examined])
    counts = Counter(one.finding.severity for one in placed)
    where = f" in {len(sources)} files" if len(sources) > 1 else ""
    if not placed:
        console.print(f"No findings{where}.")
        return
    more = " --fail-on info shows each." if len(folded) < len(placed) else ""
    each = ", ".join(f"{counts[s]} {s.name.lower()}" for s in sorted(counts, reverse=True))
    noun = "finding" if len(placed) == 1 else "findings"
    console.print(f"{len(placed)} {noun}{where}: {each}.{more}")


def _folded(said: Sequence[Said], fold: Severity) -> list[tuple[Said, list[Said]]]:
    """The findings to show, each with those of its rule that it stands for."""
    found: dict[object, tuple[Said, list[Said]]] = {}
    for number, one in enumerate(said):
        low = one.finding.severity < fold and one.place is not None
        kind = (one.finding.rule, one.finding.severity) if low else number
        if kind in found:
            found[kind][1].append(one)
        else:
            found[kind] = (one, [])
    return list(found.values())


def _title(said: Said) -> Text:
    finding = said.finding
    start = f"{said.source.name}:{finding.object}".lstrip(":")
    return Text.assemble(
        (printable(start), "bold"),
        " ",
        (finding.severity.name.lower(), COLOURS[finding.severity]),
        f" {finding.rule}: ",
        printable(finding.message),
    )


def _show_briefly(console: Console, said: Said, others: Sequence[Said]) -> None:
    here = [one for one in others if one.source.name == said.source.name]
    lines = dict.fromkeys(str(one.finding.evidence.get("line", "")) for one in here)
    files = len({one.source.name for one in others} - {said.source.name})
    same = [f"at line{'' if len(lines) == 1 else 's'} {', '.join(lines)}"] if lines else []
    same += [f"in {files} other file{'' if files == 1 else 's'}"] if files else []
    words = f" The same {', and '.join(same)}." if same else ""
    console.print(_title(said).append(words), soft_wrap=True)
    if said.finding.remedy:
        remedy = Text(f"  {printable(said.finding.remedy)}", style="dim")
        console.print(remedy, soft_wrap=True)


def _show_finding(console: Console, said: Said) -> None:
    finding = said.finding
    console.print(_title(said), soft_wrap=True)
    if said.place is not None:
        _show_excerpt(console, said, COLOURS[finding.severity])
    if finding.remedy and not (said.rewrite and said.check):
        console.print(Text(f"  {printable(finding.remedy)}", style="dim"), soft_wrap=True)
    if said.rewrite and said.check is not None:
        _show_rewrite(console, said, said.check)
    elif said.rewrite:
        for line in said.rewrite.split("\n"):
            console.print(Text(f"    {printable(line)}", style="green"), soft_wrap=True)
    elif said.check is not None:
        why = f"  A rewrite is not offered. {said.check.why}"
        console.print(Text(printable(why), style="dim"), soft_wrap=True)
    console.print()


def _show_excerpt(console: Console, said: Said, colour: str) -> None:
    if said.place is None:
        return
    width = max(_NARROWEST, console.width - 2)
    line, carets = said.source.excerpt(said.place.start, said.place.end, width)
    console.print(Text(f"  {line}"), soft_wrap=True)
    console.print(Text(f"  {carets}", style=colour), soft_wrap=True)


def _show_rewrite(console: Console, said: Said, check: RewriteCheck) -> None:
    """Both texts side by side, and what speaks for the second."""
    table = Table(box=None, padding=(0, 2), expand=True)
    table.add_column(f"As written: cost {check.cost_before:.2f}", ratio=1, overflow="fold")
    table.add_column(f"Rewritten: cost {check.cost_after:.2f}", ratio=1, overflow="fold")
    table.add_row(Text(printable(said.original)), Text(printable(said.rewrite), style="green"))
    console.print(table)
    console.print(
        Text(
            f"  Equal on samples of the tables ({check.compared_rows} rows compared), "
            "NULLs, duplicates and empty tables among them.",
            style="dim",
        ),
        soft_wrap=True,
    )


def _show_unexamined(console: Console, said: Sequence[Said]) -> None:
    blind = sorted({one.finding.rule for one in said if one.place is None})
    if blind:
        words = f"Not examined without a database: {', '.join(blind)}. --dsn brings one in."
        console.print(Text(words, style="dim"), soft_wrap=True)
    for one in said:
        if one.place is not None:
            words = f"{one.source.where(one.place.start)} {one.finding.message}"
            console.print(Text(printable(words), style="dim"), soft_wrap=True)


def github(said: Iterable[Said]) -> str:
    """Workflow commands that annotate a pull request, a line each; what nobody could look at too.

    Source: GitHub's documentation, "Workflow commands for GitHub Actions".
    """
    shown = (one for one in said if one.finding.examined or one.place is not None)
    return "\n".join(map(_annotation, shown))


def _annotation(said: Said) -> str:
    finding, names = said.finding, ("line", "column", "end_line", "end_column")
    keys = dict(zip(names, ("line", "col", "endLine", "endColumn"), strict=True))
    properties = {"file": said.source.name} if said.source.name else {}
    properties |= {
        keys[name]: str(finding.evidence[name]) for name in names if name in finding.evidence
    }
    properties["title"] = finding.rule
    listed = ",".join(f"{name}={_escaped(value, ':,')}" for name, value in properties.items())
    words = "\n".join(filter(None, (finding.message, finding.remedy, said.rewrite)))
    return f"::{_LEVELS[finding.severity]} {listed}::{_escaped(words)}"


def _escaped(value: str, more: str = "") -> str:
    for char in "%\r\n" + more:
        value = value.replace(char, f"%{ord(char):02X}")
    return value


class LintRule(Protocol):
    """What a list of rules says of each: dbopt.sql.rules.support.Rule and its like."""

    @property
    def name(self) -> str:
        """The word that --rule and --ignore take."""

    @property
    def severity(self) -> Severity:
        """Of its findings, unless one has its own."""

    @property
    def summary(self) -> str:
        """What it finds."""

    @property
    def reason(self) -> str:
        """What is bad about it."""

    @property
    def remedy(self) -> str:
        """What to do."""

    @property
    def fires(self) -> str:
        """A text that it finds something in."""


def rules_table(rules: Iterable[LintRule]) -> Table:
    """All rules and why they are rules."""
    table = Table("Rule", "Severity", "Finds", "Why", box=None, padding=(0, 2, 1, 0))
    for rule in rules:
        needs_schema = getattr(rule, "needs_schema", False)
        name = f"{rule.name}\n(needs a database)" if needs_schema else rule.name
        severity = Text(rule.severity.name.lower(), style=COLOURS[rule.severity])
        table.add_row(Text(name), severity, Text(rule.summary), Text(rule.reason))
    return table


def show_score(
    console: Console, where: str, statement: str, complexity: Complexity, limit: int
) -> None:
    """The number, the class, and what it is made of."""
    head = printable(statement)
    if len(head) > _SHOWN_STATEMENT:
        head = head[: _SHOWN_STATEMENT - 1] + "…"
    console.print(Text.assemble((printable(where), "bold"), " ", (head, "dim")), soft_wrap=True)
    colour = GRADES.get(complexity.grade, "")
    score = Text.assemble((f"{complexity.score} {complexity.grade}", f"bold {colour}"))
    over = f"above the limit of {limit}" if complexity.score > limit else f"of {limit}"
    console.print(Text.assemble("  ", score, f", {over}"))
    table = Table(box=None, show_header=False, padding=(0, 1))
    table.add_column(justify="right")
    for reason in complexity.reasons:
        table.add_row(str(reason.points), reason.what)
    if complexity.reasons:
        console.print(table)
    console.print()
