"""A plan as people read it: a table as wide as the terminal, and what was found below it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from dbopt.cli.context import shown
from dbopt.migrate.estimate import Estimate, key
from dbopt.migrate.lockwords import is_quiet
from dbopt.migrate.progress import spell
from dbopt.migrate.steps import Action, Step
from dbopt.pg.look import Session
from dbopt.sql.findings import Finding, Severity

WIDE = 120
"""Columns from which on reasons and who is in the way stand in the table, else below it."""

_COLOURS = {Severity.CRITICAL: "red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}
_ACTIONS = {
    Action.DROP: "red",
    Action.REPLACE: "yellow",
    Action.CONFLICT: "red",
    Action.REBUILD: "yellow",
}
_MOST_NAMES = 5
"""Names in one line; whoever wants them all asks for JSON."""


def show(
    console: Console,
    todo: Sequence[Step],
    estimates: Mapping[str, Estimate],
    blockers: Mapping[str, Sequence[Session]],
    findings: Sequence[Finding],
    left_alone: Sequence[str],
    present: int,
) -> None:
    """Print the steps, one line that sums them up, their locks, and the findings."""
    if todo:
        _steps(console, todo, estimates, blockers)
    console.print(shown(_summary(todo, estimates, present)))
    _locks(console, todo, estimates)
    if left_alone:
        console.print(
            shown(f"Left alone, since not declared: {few(left_alone)}. --prune drops them."),
            style="dim",
        )
    for same in grouped(findings):
        _finding(console, same)


def grouped(findings: Sequence[Finding]) -> list[list[Finding]]:
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
    more = [_more(step, blockers.get(key(step.definition), ())) for step in todo]
    wide = [word for word in ("why", "waits for") if any(one.get(word) for one in more)]
    wide = wide if console.width >= WIDE else []
    table = Table("Action")
    # A name that is cut can be neither found nor copied.
    for name in ("Index", "Table"):
        table.add_column(name, overflow="fold")
    for name in ("Size", "Time"):
        table.add_column(name, justify="right", no_wrap=True)
    for word in wide:
        table.add_column(word.capitalize(), overflow="fold")
    for step, words in zip(todo, more, strict=True):
        found = _of(step, estimates)
        cells = [_action(step), shown(step.definition.name), shown(step.definition.table)]
        cells += [_size(found), _time(found), *(shown(words.get(word, "")) for word in wide)]
        table.add_row(*cells)
    console.print(table)
    if not wide:
        _below(console, todo, more)


def _below(console: Console, todo: Sequence[Step], more: Sequence[Mapping[str, str]]) -> None:
    for step, words in zip(todo, more, strict=True):
        # Whom it would wait for is a finding below: one session is in the way of many.
        if words.get("why"):
            console.print(f"[bold]{shown(step.definition.name)}[/]: {shown(words['why'])}")


def _more(step: Step, sessions: Sequence[Session]) -> dict[str, str]:
    """Why, and who is in the way; of a conflict the findings say why, and what to do."""
    why = "" if step.action is Action.CONFLICT else step.reason
    pids = [f"pid {one.pid}" if one.pid else f"prepared {one.gid}" for one in sessions]
    return {"why": why, "waits for": ", ".join(pids)}


def _locks(console: Console, todo: Sequence[Step], estimates: Mapping[str, Estimate]) -> None:
    """What is alike once, then each lock behind which somebody waits, and whose it is."""
    named: dict[str, list[str]] = {}
    for step in todo:
        for words in _of(step, estimates).locks:
            named.setdefault("" if is_quiet(words) else words, []).append(step.definition.name)
    if not named:
        return
    loud = {words: names for words, names in named.items() if words}
    line = "Locks: SHARE UPDATE EXCLUSIVE, behind which no reader or writer waits"
    console.print(f"{line}{', and' if loud else '.'}", style="dim")
    for words, names in loud.items():
        text = f"{words} ({few(names)})"
        console.print(Padding(shown(text), (0, 0, 0, 2), expand=False), style="dim")


def few(names: Sequence[str]) -> str:
    """Names for one line: the first, and how many more there are."""
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _of(step: Step, estimates: Mapping[str, Estimate]) -> Estimate:
    return estimates.get(key(step.definition), Estimate())


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
        return f"Nothing to do: {there if present else 'index.directory declares no index'}."
    counts = Counter(step.action for step in todo)
    words = [_counted(action, number) for action, number in counts.items()]
    words += [there] if present else []
    most = sum(_of(step, estimates).seconds[1] for step in todo)
    time = f" It takes up to {spell(most)}, without waits for others." if most >= 1 else ""
    return f"{', '.join(words)}.{time}"


def _counted(action: Action, number: int) -> str:
    if action is Action.CONFLICT:
        return f"{number} conflict{'' if number == 1 else 's'}"
    return f"{number} being built" if action is Action.BUSY else f"{number} to {action.value}"


def _finding(console: Console, same: Sequence[Finding]) -> None:
    finding = max(same, key=lambda one: one.severity)
    word = finding.severity.name.lower() if finding.examined else "not examined"
    colour, names = _COLOURS[finding.severity], shown(few([one.object for one in same]))
    console.print(f"[{colour}]{word}[/] {finding.rule} [bold]{names}[/]: {shown(finding.message)}")
    if finding.remedy:
        # Not wrapped: it is SQL or a command, and is copied.
        console.print(f"  {shown(finding.remedy)}", style="dim", soft_wrap=True)
