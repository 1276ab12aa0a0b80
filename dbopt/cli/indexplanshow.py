"""A plan as people read it: a table as wide as the terminal, and what was found below it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from dbopt.cli.context import shown
from dbopt.migrate.estimate import Estimate, key
from dbopt.migrate.looks.sessions import who
from dbopt.migrate.progress import spell
from dbopt.migrate.steps import Action, Step
from dbopt.pg.look import Session
from dbopt.sql.findings import Finding, Severity

WIDE = 120
"""Columns from which on reasons and locks stand in the table, else below it."""

_COLOURS = {Severity.CRITICAL: "red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}
_ACTIONS = {
    Action.DROP: "red",
    Action.REPLACE: "yellow",
    Action.CONFLICT: "red",
    Action.REBUILD: "yellow",
}
_LEAST_BENEFIT = 0.01


def show(
    console: Console,
    todo: Sequence[Step],
    estimates: Mapping[str, Estimate],
    blockers: Mapping[str, Sequence[Session]],
    findings: Sequence[Finding],
    left_alone: Sequence[str],
    present: int,
) -> None:
    """Print the steps, one line that sums them up, and the findings."""
    if todo:
        _steps(console, todo, estimates, blockers)
    console.print(shown(_summary(todo, estimates, present)))
    if left_alone:
        names = ", ".join(left_alone[:5]) + (", …" if len(left_alone) > 5 else "")
        console.print(
            shown(f"Left alone, since not declared: {names}. --prune drops them."), style="dim"
        )
    for same in _grouped(findings):
        _finding(console, same)


def _grouped(findings: Sequence[Finding]) -> list[list[Finding]]:
    """One old transaction is in the way of many indexes: it is said once."""
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.rule, finding.message, finding.remedy), []).append(finding)
    return list(groups.values())


def _steps(
    console: Console,
    todo: Sequence[Step],
    estimates: Mapping[str, Estimate],
    blockers: Mapping[str, Sequence[Session]],
) -> None:
    wide = console.width >= WIDE
    table = Table("Action", "Index", "Table")
    table.add_column("Size", justify="right")
    table.add_column("Time", justify="right")
    for name in ("Why", "Locks", "Blocked by") if wide else ():
        table.add_column(name, overflow="fold")
    for step in todo:
        found = estimates.get(key(step.definition), Estimate())
        cells = [_action(step), shown(step.definition.name), shown(step.definition.table)]
        cells += [_size(found), _time(found)]
        more = _more(step, found, blockers.get(key(step.definition), ()))
        table.add_row(*cells, *(shown(text) for text in (more if wide else ())))
    console.print(table)
    if not wide:
        _below(console, todo, estimates, blockers)


def _below(
    console: Console,
    todo: Sequence[Step],
    estimates: Mapping[str, Estimate],
    blockers: Mapping[str, Sequence[Session]],
) -> None:
    for step in todo:
        found = estimates.get(key(step.definition), Estimate())
        console.print(f"[bold]{shown(step.definition.name)}[/]")
        words = ("why", "locks", "blocked by")
        more = _more(step, found, blockers.get(key(step.definition), ()))
        for word, text in zip(words, more, strict=True):
            if text:
                console.print(Padding(f"{word}: {shown(text)}", (0, 0, 0, 2), expand=False))


def _more(step: Step, found: Estimate, sessions: Sequence[Session]) -> tuple[str, str, str]:
    """Why, which locks, and who is in the way."""
    if found.benefit >= _LEAST_BENEFIT and step.action is Action.CREATE:
        read = f"its table has {found.benefit:.0%} of the rows that sequential scans read"
        why = "; ".join(filter(None, (step.reason, read)))
    else:
        why = step.reason
    return why, "; ".join(found.locks), ", ".join(map(who, sessions))


def _action(step: Step) -> str:
    colour = _ACTIONS.get(step.action, "green")
    return f"[{colour}]{step.action.value}[/]"


def _size(found: Estimate) -> str:
    if not found.size_bytes:
        return ""
    size = float(found.size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if size >= 10 else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def _time(found: Estimate) -> str:
    least, most = found.seconds
    if not most:
        return ""
    if most < 1:
        return "< 1 s"
    return f"{spell(least)} to {spell(most)}" if least >= 1 else f"up to {spell(most)}"


def _summary(todo: Sequence[Step], estimates: Mapping[str, Estimate], present: int) -> str:
    there = f"{present} index{'' if present == 1 else 'es'} as declared"
    if not todo:
        return f"Nothing to do: {there}."
    counts = Counter(step.action.value for step in todo)
    words = ", ".join(f"{number} to {action}" for action, number in counts.items())
    most = sum(estimates[key(step.definition)].seconds[1] for step in todo)
    time = f" All of it takes {spell(most)} at most, waits for others apart." if most >= 1 else ""
    return f"{words}{f'; {there}' if present else ''}.{time}"


def _finding(console: Console, same: Sequence[Finding]) -> None:
    finding = max(same, key=lambda one: one.severity)
    word = finding.severity.name.lower() if finding.examined else "not examined"
    colour, names = _COLOURS[finding.severity], ", ".join(shown(one.object) for one in same)
    console.print(f"[{colour}]{word}[/] {finding.rule} [bold]{names}[/]: {shown(finding.message)}")
    if finding.remedy:
        console.print(Padding(shown(finding.remedy), (0, 0, 0, 2), expand=False), style="dim")
