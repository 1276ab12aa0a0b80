"""`dbopt index apply`: make the declared indexes exist, without blocking anybody."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

import click
from rich.console import Console
from rich.table import Table

from dbopt.cli.context import Context, print_json, shown
from dbopt.cli.indexoptions import DEADLINE, DRY_RUN, NO_WAIT, ONE_DOCUMENT, YES, ask
from dbopt.cli.indexplan import Planned, plan_of, show_plan
from dbopt.cli.migratebars import progress
from dbopt.errors import EXIT_FINDINGS, DboptError, ServerLost
from dbopt.migrate import selection
from dbopt.migrate.lockguard import direct_session
from dbopt.migrate.outcome import Applied, Outcome
from dbopt.migrate.patience import Patience
from dbopt.migrate.run import Options, Run
from dbopt.migrate.steps import Action
from dbopt.migrate.storeschema import make_store
from dbopt.migrate.work import Deadline
from dbopt.settings import Settings
from dbopt.stats.report.numbers import duration

_EPILOG = """
\b
Exit codes, and when:
  0  all is as declared              dbopt index apply --yes
  1  there are changes, none made    --dry-run, or "no" to the question
  2  wrong options or declarations   dbopt index apply < /dev/null  (it cannot ask)
  3  the database is not reachable   dbopt --dsn host=nowhere index apply --yes
  4  some steps failed, others not   a unique index over rows that are not
  5  another run is at work          dbopt index apply --yes --no-wait
  6  the deadline has passed         dbopt index apply --yes --deadline 10m
  7  refused before any change       a standby, a pooler, an old transaction
  130, 143  stopped by Ctrl-C, SIGTERM; what was begun is cleaned up

--json: {"run", "outcome": "done"|"partly"|"failed"|"deadline"|"cancelled",
"built": [{"name", "table", "ms", "valid", "action"}],
"failed": [{"name", "table", "action", "message", "remedy", "where"}], "left": [steps],
"uses": [{"index", "statements", "used", "fingerprints", "unseen"}]}, and "error" where the
whole run was refused or given up; with --dry-run that of `dbopt index plan`. The progress
goes to standard error.
"""


@click.command("apply", short_help="Make the declared indexes exist; nobody waits.", epilog=_EPILOG)
@YES
@click.option(
    "--only", multiple=True, metavar="NAME|TABLE", help="Only this index or table; repeatable."
)
@click.option("--prune", is_flag=True, help="Drop undeclared indexes of declared tables too.")
@DEADLINE
@NO_WAIT
@click.option("--no-record", is_flag=True, help="Keep no record in the store.")
@click.option(
    "--verify/--no-verify",
    default=True,
    show_default=True,
    help="Ask the planner afterwards which statements would use the new indexes.",
)
@DRY_RUN
@ONE_DOCUMENT
@click.pass_obj
def apply_command(
    context: Context,
    yes: bool,
    only: tuple[str, ...],
    prune: bool,
    deadline: float | None,
    no_wait: bool,
    no_record: bool,
    verify: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make the database have exactly the declared indexes (indexes/*.sql).

    Shows the plan and asks. Everything is built and dropped concurrently: nobody who reads or
    writes waits. Stopped or killed at any moment and run again, it goes on from there. Indexes
    that dbopt has neither made nor found declared are left alone, unless --prune is given.

    \b
    Examples:
      dbopt index apply
      dbopt index apply --yes --deadline 20m          (in a deploy)
      dbopt index apply --only users --prune
      dbopt index apply --yes --json | jq -r '.failed[].message'
    """
    people = Console(stderr=True) if as_json else context.console
    planned = _planned(context.settings, only, prune)
    show_plan(people, planned)
    todo = planned.todo
    if dry_run:
        if as_json:
            print_json(planned.to_dict())
        sys.exit(EXIT_FINDINGS if todo else 0)
    if not yes:
        _agree(people, planned)
    options = Options(
        only=only,
        prune=prune,
        deadline=deadline,
        wait=0.0 if no_wait else None,
        shown=None if yes else selection.taking(todo),
        record=not no_record,
        verify=verify,
    )
    applied = _run(context, people, planned, options, as_json)
    sys.exit(applied.exit_code)


def _planned(settings: Settings, only: tuple[str, ...], prune: bool) -> Planned:
    """The plan. A server that goes away in its middle, a restart say, is waited for."""
    try:
        return plan_of(settings, only, prune)
    except ServerLost:
        limits = settings.migrate
        patience = Patience(
            lambda: direct_session(settings).close(),
            lambda line: click.echo(line, err=True),
            Deadline.after(limits.deadline),
            limits.attempts,
        )
        return patience.lasting(lambda: plan_of(settings, only, prune), "The plan")


def _run(
    context: Context, people: Console, planned: Planned, options: Options, as_json: bool
) -> Applied:
    """Do it; whatever ends it, what is done by then is told."""
    settings = context.settings
    wait = settings.migrate.lock_wait if options.wait is None else options.wait
    ended: dict[str, str] = {}
    told: list[str] = []
    with progress(people) as live:

        def tell(line: str) -> None:
            told.append(line)
            live.tell(line)

        prepared = replace(options, prepare=lambda: make_store(settings, wait))
        run = Run(settings, prepared, report=live.look, tell=tell, stepping=live.step)
        try:
            applied = run.go()
            live.finish()
            if planned.todo or applied.changed or applied.failed or told:
                _show(people, applied, options.only)
        except BaseException as error:
            live.finish()
            if run.applied.changed or run.applied.failed:
                _show(people, replace(run.applied, left=()))  # it has told what is left
            ended = {"error": str(error)} if isinstance(error, DboptError) else {}
            raise
        finally:
            if as_json:
                print_json(run.applied.to_dict() | ended)
    return applied


def _agree(people: Console, planned: Planned) -> None:
    """Ask, where there is something to agree to. Raises MigrationRefused where nothing can be."""
    todo = [step for step in planned.todo if step.action is not Action.CONFLICT]
    if todo:
        selection.refuse(planned.findings, todo)
        ask(people)


def _show(console: Console, applied: Applied, only: Sequence[str] = ()) -> None:
    """What was done, what failed and what to do about it, what is left."""
    if applied.changed:
        table = Table()
        for name in ("Index", "Table"):  # a name that is cut can be neither found nor copied
            table.add_column(name, overflow="fold")
        for name in ("Done", "Took"):
            table.add_column(name, no_wrap=True)
        for built in applied.changed:
            took = duration(built.ms * 1e3)
            table.add_row(shown(built.name), shown(built.table), built.action.value, took)
        console.print(table)
    for failed in applied.failed:
        place = f" ({failed.where})" if failed.where else ""
        console.print(f"[red]failed[/] {shown(failed.name + place)}: {shown(failed.message)}")
        if failed.remedy:
            # Not wrapped: it is SQL or a command, and is copied.
            console.print(f"  {shown(failed.remedy)}", style="dim", soft_wrap=True)
    failures = {failed.name for failed in applied.failed}
    left = [step.definition.name for step in applied.left]
    left = [name for name in left if name not in failures]
    if left:
        console.print(f"[yellow]left[/] {shown(', '.join(left))}")
    for line in _uses(applied):
        console.print(shown(line), style="dim")
    console.print(shown(_summary(applied, only)))


def _uses(applied: Applied) -> list[str]:
    """What the planner makes of the new indexes; what was not examined of any, once."""
    unseen = {use.unseen for use in applied.uses}
    if len(unseen) == 1 and not any(use.statements for use in applied.uses):
        return [f"Use: {unseen.pop() or 'No statement that reads their tables is known.'}"]
    return [str(use) for use in applied.uses]


def _summary(applied: Applied, only: Sequence[str]) -> str:
    words = f"{len(applied.changed)} done, {len(applied.failed)} failed"
    if applied.outcome is Outcome.DONE:
        words = f"{len(applied.changed)} done" if applied.changed else "Nothing was to be done"
        words += ": what --only names is there" if only else ": every declared index is there"
    run = f" Run {applied.run}." if applied.run else ""
    return f"{words}.{run}"
