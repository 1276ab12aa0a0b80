"""`dbopt index runs` and `dbopt index rollback`: what was done to indexes, and taking it back."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dbopt.cli.context import Context, print_json, shown
from dbopt.cli.indexoptions import DEADLINE, DRY_RUN, NO_WAIT, ONE_DOCUMENT, YES, ask
from dbopt.cli.migratebars import progress
from dbopt.errors import EXIT_FINDINGS, EXIT_PARTIAL, UsageError
from dbopt.migrate.rollback import Rollback, RolledBack, preview, roll_back
from dbopt.migrate.steps import Step
from dbopt.pg.shown import printable
from dbopt.stats.report.numbers import duration, size
from dbopt.store import indexruns
from dbopt.store.indexruns import IndexRun, IndexStep
from dbopt.store.link import connect_store

WIDE = 110
"""Columns from which on the list of runs has room for who did what."""

_COLOURS = {
    "done": "green",
    "rolled back": "cyan",
    "running": "cyan",
    "began": "cyan",
    "partly": "yellow",
    "interrupted": "yellow",
    "cancelled": "yellow",
    "failed": "red",
}


@click.command("runs", short_help="List who changed which index, when, and how it ended.")
@click.argument("run", required=False)
@click.option(
    "--limit", type=click.IntRange(1, indexruns.MOST_RUNS), default=20, show_default=True,
    help="How many runs.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def runs_command(context: Context, run: str | None, limit: int, as_json: bool) -> None:
    """List the runs that changed indexes, the newest first; with RUN, the steps of that one.

    Who ran it, when, each statement with what undoes it, and what came of it, as the store has
    kept it for 400 days. Times are local, those of JSON have their zone. Exits 2 for a RUN that
    the store does not know.

    \b
    Examples:
      dbopt index runs
      dbopt index runs 20261123-0412-k3
      dbopt index runs --json | jq -r '.[] | select(.outcome != "done") | .id'

    --json: a list of {"id", "outcome", "began", "ended", "command", …}; with RUN one of them, and
    "steps": [{"sql", "reverse", "outcome", "message", "duration_ms", "size_bytes", …}]. The outcome
    of a run is running, done, partly, failed, cancelled, interrupted (killed) or rolled back.
    """
    with connect_store(context.settings.store_dsn) as store:
        if run is None:
            _list(context, indexruns.runs(store, limit=limit), as_json)
            return
        found = indexruns.run_of(store, run)
        if found is None:
            raise UsageError(
                f'The store has no run "{run}".', hint="`dbopt index runs` lists them."
            )
        steps = indexruns.steps(store, run)
    if as_json:
        print_json(found.to_dict() | {"steps": [step.to_dict() for step in steps]})
    else:
        _show_run(context.console, found, steps)


def _list(context: Context, found: Sequence[IndexRun], as_json: bool) -> None:
    if as_json:
        print_json([run.to_dict() for run in found])
        return
    if not found:
        context.console.print("No run has changed an index yet.")
        return
    wide = context.console.width >= WIDE
    table = Table()
    # People type it, so it is never cut; the others may be.
    table.add_column("Run", no_wrap=True, min_width=max(len(run.id) for run in found))
    for name in ("Began", "Took", "Outcome"):
        table.add_column(name, no_wrap=True)
    for name in ("Database", "Steps", "Who", "Command") if wide else ("Database",):
        table.add_column(name, overflow="fold")
    for run in found:
        cells = [
            run.id, f"{run.began.astimezone():%Y-%m-%d %H:%M}", _took(run.began, run.ended),
            _outcome(run.outcome), shown(run.target.database),
        ]  # fmt: skip
        if wide:
            cells[-1] = shown(f"{run.target.database} on {run.target.server}")
            cells += [str(run.steps), shown(f"{run.os_user}@{run.host}"), shown(run.command)]
        table.add_row(*cells)
    context.console.print(table)


def _show_run(console: Console, run: IndexRun, steps: Iterable[IndexStep]) -> None:
    """What the run was, then its statements, which are not cut: they are copied."""
    lines = {
        "Run": run.id,
        "Took back": run.of_run,
        "Database": f"{run.target.database} on {run.target.server}, as {run.role}",
        "Who": f"{run.os_user}@{run.host}, pid {run.pid}, {run.application}, dbopt {run.version}",
        "Command": run.command,
        "Began": ", took ".join(filter(None, (_moment(run.began), _took(run.began, run.ended)))),
        "Outcome": f"{run.outcome}: {run.message}" if run.message else run.outcome,
    }
    for name, value in lines.items():
        if value:
            console.print(Text(f"{name:<10}{printable(value)}"), soft_wrap=True)
    every = list(steps)
    if every:
        console.print("\nWhat ran, and after ↶ what undoes it:")
    for step in every:
        _show_step(console, step)


def _show_step(console: Console, step: IndexStep) -> None:
    words = [f"{step.began.astimezone():%H:%M:%S}", _took(step.began, step.ended)]
    words += [] if step.size_bytes is None else [size(step.size_bytes)]
    told = ", ".join(filter(None, words))
    console.print(f"{step.number:>3} {_outcome(step.outcome)} [dim]{told}[/]", highlight=False)
    console.print(Text(f"    {printable(step.sql)}"), soft_wrap=True)
    if step.reverse:
        console.print(Text(f"    ↶ {printable(step.reverse)}", style="dim"), soft_wrap=True)
    if step.message:
        console.print(Text(f"    {printable(step.message)}", style="red"), soft_wrap=True)


def _outcome(outcome: str) -> str:
    return f"[{_COLOURS.get(outcome, 'white')}]{shown(outcome)}[/]"


def _moment(at: datetime) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}"


def _took(began: datetime, ended: datetime | None) -> str:
    return "" if ended is None else duration((ended - began).total_seconds() * 1e6)


@click.command("rollback", short_help="Take a run back.")
@click.argument("run")
@YES
@DEADLINE
@NO_WAIT
@DRY_RUN
@ONE_DOCUMENT
@click.pass_obj
def rollback_command(
    context: Context,
    run: str,
    yes: bool,
    deadline: float | None,
    no_wait: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Take back what RUN did to indexes: concurrently, under the same lock, recorded as a run.

    An index that it made is dropped, one that it dropped is built again, a name is given back, a
    replaced one replaces the other again. What has changed since is left alone. What cannot be
    taken back is told before anything is changed. The declared files stay as they are.

    Exit codes: 0 all taken back, 1 "no" to the question or --dry-run, 2 no such RUN, 3 the
    database is not reachable, 4 some of it not, 5 another run is at work, 6 the deadline has
    passed, 7 refused before any change.

    \b
    Examples:
      dbopt index rollback 20261123-0412-k3
      dbopt index rollback 20261123-0412-k3 --yes --json | jq .left_alone

    --json: that of `dbopt index apply`, and {"of_run", "left_alone": [undos], "again": [steps]}:
    what could not be taken back, and what the next apply would do to the same indexes. Where
    nothing is to be done, or can be: {"run", "undo": [undos]}. An undo is {"schema", "name",
    "table", "action", "sql", "reason", "settled"}.
    """
    people = Console(stderr=True) if as_json else context.console
    found = preview(context.settings, run)
    _show_preview(people, found)
    if dry_run or not found.doing:
        if as_json:
            print_json(found.to_dict())
        sys.exit(EXIT_FINDINGS if found.doing else EXIT_PARTIAL if found.stuck else 0)
    if not yes:
        ask(people)
    with progress(people) as live:
        done = roll_back(
            context.settings,
            found,
            deadline=deadline,
            wait=0.0 if no_wait else None,
            report=live.look,
            tell=live.tell,
            stepping=live.step,
        )
        live.finish()
    if as_json:
        print_json(done.to_dict())
    _show_done(people, done)
    sys.exit(done.exit_code)


def _show_preview(console: Console, found: Rollback) -> None:
    if not found.undos:
        console.print("The run changed nothing: there is nothing to take back.")
        return
    for undo in found.doing:
        action = undo.step.action.value if undo.step else ""
        console.print(f"{action} [bold]{shown(undo.name)}[/] on {shown(undo.table)}")
        if undo.reason:
            console.print(Text(f"    {printable(undo.reason)}", style="yellow"), soft_wrap=True)
        console.print(Text(f"    {printable(undo.sql)}", style="dim"), soft_wrap=True)
    for undo in found.undos:
        if undo.step is None:
            word = "[green]as before[/]" if undo.settled else "[yellow]left alone[/]"
            console.print(f"{word} {shown(undo.name)}: {shown(undo.reason)}")


def _show_done(console: Console, done: RolledBack) -> None:
    applied = done.applied
    for built in applied.changed:
        took = duration(built.ms * 1e3)
        console.print(f"[green]{built.action.value}[/] {shown(built.name)}, {took}")
    for failed in applied.failed:
        words = f"{failed.name}: {failed.message} {failed.remedy}".rstrip()
        console.print(f"[red]failed[/] {shown(words)}")
    part = " in part" if done.exit_code else ""
    console.print(shown(f"The run {done.rollback.run.id} is taken back{part}. Run {applied.run}."))
    if done.again is None:
        console.print("The declared files could not be compared with it.", style="yellow")
    for words in _next(done.again or ()):
        console.print(shown(words), style="yellow")


def _next(steps: Sequence[Step]) -> Iterator[str]:
    """What the next apply would do again, a line for each action."""
    actions: dict[str, list[str]] = {}
    for step in steps:
        place = f"{step.definition.name} ({step.where})"
        actions.setdefault(step.action.value, []).append(place)
    for action, names in actions.items():
        yield f"The next apply would {action} {', '.join(names)}."
