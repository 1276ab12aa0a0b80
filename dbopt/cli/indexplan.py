"""`dbopt index plan`: the declared indexes against the database's, and what it would cost."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import click
from rich.console import Console

from dbopt.cli.context import Context, print_json
from dbopt.cli.indexplanshow import few, grouped, show
from dbopt.errors import EXIT_FINDINGS
from dbopt.migrate import estimate, preflight, rates, selection
from dbopt.migrate.declared import Declared, declared
from dbopt.migrate.direct import require_writable
from dbopt.migrate.estimate import Estimate, key
from dbopt.migrate.lockguard import direct_session
from dbopt.migrate.lockwords import is_quiet
from dbopt.migrate.looks import plan as plans
from dbopt.migrate.looks.sessions import evidence
from dbopt.migrate.register import Known, known
from dbopt.migrate.scene import Scene
from dbopt.migrate.script import Part, script, statements
from dbopt.migrate.selection import Name
from dbopt.migrate.steps import Action, Step
from dbopt.pg.catalog import Catalog, Index
from dbopt.pg.connect import Connection
from dbopt.pg.look import Session
from dbopt.pg.shown import printable
from dbopt.settings import Settings
from dbopt.sql.findings import Finding


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan, in the order of its execution; estimates and blockers are by `estimate.key`."""

    parts: tuple[Part, ...]
    estimates: dict[str, Estimate]
    blockers: dict[str, list[Session]]
    findings: tuple[Finding, ...]
    left_alone: tuple[str, ...]
    search_path: str
    version: int

    @property
    def todo(self) -> list[Step]:
        """The steps that are not there yet."""
        return [part.step for part in self.parts if part.step.action is not Action.PRESENT]

    @property
    def counts(self) -> dict[str, int]:
        """How many steps there are of each action."""
        return dict(Counter(part.step.action.value for part in self.parts))

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready types."""
        return {
            "steps": [self._step(part) for part in self.parts],
            "counts": self.counts,
            "left_alone": list(self.left_alone),
            "findings": [finding.to_dict() for finding in self.findings],
        }

    def _step(self, part: Part) -> dict[str, Any]:
        found = self.estimates.get(key(part.step.definition), Estimate())
        blockers = self.blockers.get(key(part.step.definition), [])
        return part.step.to_dict() | {
            "sql": [one.sql for one in part.statements],
            "estimate": found.to_dict(),
            "blocked_by": [evidence(session) for session in blockers],
        }


@click.command("plan", short_help="Show what apply would do, and change nothing.")
@click.option(
    "--only", multiple=True, metavar="NAME|TABLE", help="Only this index or table; repeatable."
)
@click.option("--prune", is_flag=True, help="Drop undeclared indexes of declared tables too.")
@click.option("--sql", "as_sql", is_flag=True, help="Print what apply would run, for psql.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def plan_command(
    context: Context, only: tuple[str, ...], prune: bool, as_sql: bool, as_json: bool
) -> None:
    """Compare the declared indexes (indexes/*.sql) with the database's, and change nothing.

    By meaning, not by name: what exists under another name is renamed, what has the name and
    another meaning is replaced. Shows size, time and locks of each step, whom it would wait for
    now, and what would make it fail. Indexes that dbopt has neither made nor found declared are
    left alone, unless --prune is given.

    Exits 0 when there is nothing to do, 1 when there are changes, 2 for wrong options or
    declarations, 3 when the database cannot be reached, 7 where there is no plan: on a standby,
    where a table or a privilege is missing, or where nothing is declared and all that dbopt
    manages would go.

    \b
    Examples:
      dbopt index plan
      dbopt index plan --only users --prune
      dbopt index plan --json | jq -r '.steps[] | select(.action != "present") | .name'
      dbopt index plan --sql > plan.sql      (then: psql -X -f plan.sql)

    --json: {"steps": [{"name", "schema", "table", "action", "existing", "reason", "where",
    "partitions": [steps], "sql": [statements], "estimate": {"size_bytes", "seconds": [least,
    most], "locks": [words], "writes_per_second", "benefit"}, "blocked_by": [{"pid", "user",
    "application", "state", "age", "snapshot", "locks"}]}], "counts": {action: number},
    "left_alone": [undeclared indexes], "findings": [{"rule", "severity", "object", "message",
    "evidence", "remedy", "examined"}]}. Ages are seconds, null where they are hidden; benefit is
    the share, 0 to 1, of all rows read by sequential scans, those of builds too, that were this
    table's.
    """
    planned = plan_of(context.settings, only, prune)
    if as_json:
        print_json(planned.to_dict())
    elif as_sql:
        click.echo(_script(planned, context.settings), nl=False)
    else:
        show_plan(context.console, planned)
    sys.exit(EXIT_FINDINGS if planned.todo else 0)


def show_plan(console: Console, planned: Planned) -> None:
    """Print it for people."""
    show(
        console,
        planned.todo,
        planned.estimates,
        planned.blockers,
        planned.findings,
        planned.left_alone,
        planned.counts.get("present", 0),
    )


def plan_of(settings: Settings, only: tuple[str, ...], prune: bool) -> Planned:
    """What `dbopt index plan` and `dbopt index apply` show.

    Raises as `Scene.plan` does, UsageError for --only, QueryFailed, ServerLost, and
    MigrationRefused on a standby and where nothing is declared and all would go.
    """
    found = declared(settings)
    project = settings.index.project
    with Scene(
        lambda: direct_session(settings), found, prune=prune, asked=only, project=project
    ) as scene:
        # Elsewhere the declarations cannot even be compared, which says less.
        require_writable(scene.connection)
        register = Known()

        def managing(there: Iterable[Index]) -> Collection[Name]:
            nonlocal register
            register = known(settings, scene.connection, there)
            return register.names

        every = scene.plan(managing)
        selection.refuse_emptying(every, scene.declares, prune)
        steps = selection.chosen(every, only)
        connection, here = scene.connection, scene.catalog
        assert here is not None  # noqa: S101 - a plan has one
        # A store that did not answer is not asked again, and none is where nothing is built.
        asks = not register.unseen and any(any(estimate.built(step)) for step in steps)
        speed = rates.remembered(settings, connection, here) if asks else rates.USUAL
        estimates = estimate.estimate(connection, steps, here, speed)
        steps = estimate.by_benefit(steps, estimates)
        survey = preflight.survey(connection, steps, settings.migrate)
        old = plans.expired(_of(found, steps), date.today())
        alone = list(_left_alone(steps, every, here))
        blind = plans.unregistered(connection.info.dbname, register.unseen)
        return Planned(
            parts=tuple(statements(steps, here)),
            estimates=estimates,
            blockers=survey.blockers,
            findings=(
                *survey.findings,
                *plans.left_invalid(alone),
                *plans.locked(here.locked),
                *old,
                *blind,
            ),
            left_alone=tuple(map(str, alone)),
            search_path=_search_path(connection),
            version=here.version,
        )


def _of(found: Sequence[Declared], steps: Sequence[Step]) -> Iterator[Declared]:
    """The declarations of these steps."""
    places = {step.where for step in steps}
    return (one for one in found if one.where in places)


def _left_alone(steps: Sequence[Step], every: Sequence[Step], here: Catalog) -> Iterator[Index]:
    """Indexes of these steps' tables that no step uses, and that --prune would drop."""
    tables = {(step.definition.schema, step.definition.table) for step in steps}
    used = set(_used(every))
    for index in here.indexes:
        on = (index.definition.schema, index.definition.table)
        if on in tables and index.oid not in used and not index.protected:
            yield index


def _used(steps: Sequence[Step]) -> Iterator[int]:
    for step in steps:
        yield from (one.oid for one in (step.existing, step.ready, step.holder) if one is not None)
        yield from _used(step.partitions)


def _search_path(connection: Connection) -> str:
    row = connection.execute("SELECT current_setting('search_path') AS path").fetchone()
    return str(row["path"]) if row else ""


def _script(planned: Planned, settings: Settings) -> str:
    """The SQL, what was found first as comments."""
    told = [
        f"-- {same[0].severity.name.lower()}: "
        + f"{printable(f'{few([one.object for one in same])}: {same[0].message}')}\n"
        for same in grouped(planned.findings)
    ]
    todo = [part for part in planned.parts if part.step.action is not Action.PRESENT]
    whole = selection.of_all(planned.findings, planned.todo)
    notes = {}
    for number, part in enumerate(todo):
        locks = planned.estimates[key(part.step.definition)].locks
        notes[number] = "; ".join(words for words in locks if not is_quiet(words))
        if whole or selection.forbidden(part.step, planned.findings):
            # As apply: it would fail, and the script would end there, or it must not be tried.
            todo[number] = replace(part, statements=())
            notes[number] = "Not run: a critical finding forbids it, see above."
    return "".join(told) + script(
        todo,
        settings.migrate,
        notes,
        search_path=planned.search_path,
        version=planned.version,
    )
