"""What a person sees of the demo: a bar while a step runs, then what it found."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from dbopt.demo.run import Outcome
from dbopt.demo.workload import WorkloadResult
from dbopt.sql.findings import Severity
from dbopt.web.terminal import statements_table

_STYLES = {Severity.CRITICAL: "red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}
_MAX_PLAN_LINES = 14
_SHOWN = 10


class RichScreen:
    """A run.Screen on a terminal. With `quiet` only the steps are shown."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._progress = Progress(
            SpinnerColumn(), TextColumn("[bold]{task.description}"), BarColumn(bar_width=24),
            TextColumn("{task.fields[part]}"), TimeElapsedColumn(), console=console, transient=True,
        )  # fmt: skip
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close(done=error is None)

    def step(self, words: str) -> None:
        """See run.Screen."""
        self._finish()
        self._task = self._progress.add_task(words, total=None, part="")

    def advance(self, name: str, done: float, total: float) -> None:
        """See run.Screen."""
        if self._task is not None:
            self._progress.update(self._task, completed=done, total=total, part=name[:48])

    def done(self) -> None:
        """The last step is over: nothing moves any more."""
        self._close(done=True)

    def _close(self, *, done: bool) -> None:
        self._finish(done=done)
        self._progress.stop()

    def _finish(self, *, done: bool = True) -> None:
        """Replace the bar of the step by a line that stays."""
        if self._task is None:
            return
        task = self._progress.tasks[self._progress.task_ids.index(self._task)]
        mark = Text("✓ ", "green") if done else Text("✗ ", "red")
        line = mark + Text(f"{task.description} ({task.elapsed or 0:.1f} s)", "default")
        self._progress.remove_task(self._task)
        self._task = None
        self._progress.console.print(line)

    def _print(self, *things: Any) -> None:
        if not self._quiet:
            for thing in things:
                self._progress.console.print(thing)

    def _title(self, words: str) -> Text:
        return Text(f"\n{words}", style="bold cyan")

    def traced(self, outcome: Outcome) -> None:
        """See run.Screen."""
        self._finish()
        self._print(
            self._title("1 Trace, 2 Score: what the gateway saw"),
            statements_table(outcome.statements),
        )
        self._print(_reasons(outcome))
        self._print(*_plan(outcome))
        self._print(self._title("3 Audit: what is wrong with the indexes"), *_findings(outcome))

    def advised(self, outcome: Outcome) -> None:
        """See run.Screen."""
        self._finish()
        self._print(
            self._title("4 Advise, 5 Prove: built in a transaction, explained, rolled back"),
            *_advice(outcome),
        )

    def migrated(self, outcome: Outcome) -> None:
        """See run.Screen."""
        self._finish()
        self._print(self._title("6 Migrate: the declared indexes, concurrently"), _indexes(outcome))
        if outcome.during is not None:
            summary = outcome.during.summary()
            self._print(
                Text(
                    f"Meanwhile the application ran on: {summary['tps']:,.0f} tps, "
                    f"p99 {summary['p99_ms']:.1f} ms, {summary['errors']} errors."
                )
            )

    def verified(self, outcome: Outcome) -> None:
        """See run.Screen."""
        self._finish()
        self._print(self._title("7 Verify: the same workload, before and after"))
        self._print(_comparison(outcome), _verdict(outcome))


def _reasons(outcome: Outcome) -> Table:
    """Why each statement scores what it scores, the largest reasons first."""
    table = Table(box=None, expand=True, show_header=False, title="Why the score", style="dim")
    table.title_justify = "left"
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for one in outcome.statements:
        judged = one["complexity"]
        if judged:
            reasons = (f"{reason['what']} +{reason['points']}" for reason in judged["reasons"])
            table.add_row(one["fingerprint"], str(judged["score"]), Text(", ".join(reasons)))
    return table


def _plan(outcome: Outcome) -> list[Text]:
    plan = outcome.worst_plan
    if plan is None:
        return []
    lines = plan["lines"][:_MAX_PLAN_LINES]
    head = Text(f"Plan of the worst, {plan['fingerprint']} (cost {plan['cost']:,.0f}):")
    return [head, Text("\n".join(f"  {line}" for line in lines), style="dim")]


def _findings(outcome: Outcome) -> list[Text]:
    lines: list[Text] = []
    for finding in outcome.findings[:_SHOWN]:
        severity = Text(f"  {finding.severity.name.lower():<9}", _STYLES[finding.severity])
        words = f"{finding.rule} {finding.object}: {finding.message}"
        lines.append(severity + Text(words, "default"))
        if finding.remedy:
            lines.append(Text(f"           {finding.remedy}", "dim"))
    return lines or [Text("  nothing")]


def _advice(outcome: Outcome) -> list[Text]:
    lines: list[Text] = []
    for one in outcome.advice[:_SHOWN]:
        saved = Text(f"  saves {one.saving or 0:4.0%}  ", "green")
        cost = f"cost {one.cost_before or 0:,.0f} → {one.cost_after or 0:,.0f}"
        helped = f"{len(one.queries)} {'query' if len(one.queries) == 1 else 'queries'}"
        declared = f"declared as {one.covered_by_declared}" if one.covered_by_declared else "new"
        facts = f"{cost}, {helped}, {_size(one.size_bytes or 0)}, {declared}"
        lines += [saved + Text(facts, "default"), Text(f"              {one.create_sql}", "dim")]
    return lines or [Text("  nothing to advise")]


def _indexes(outcome: Outcome) -> Table:
    table = Table("Index", "Table", "Valid", box=None)
    table.add_column("ms", justify="right")
    for built in outcome.indexes:
        valid = Text("yes", style="green") if built.valid else Text("NO", style="red")
        table.add_row(Text(built.name), Text(built.table), valid, f"{built.ms:,.0f}")
    return table


def _comparison(outcome: Outcome) -> Table:
    table = Table(box=None)
    table.add_column("\nOperation, ms", no_wrap=True)
    for when in ("before", "after"):
        for quantile in ("p50", "p95", "p99"):
            table.add_column(f"{when}\n{quantile}", justify="right", no_wrap=True)
    table.add_column("\nServed by", overflow="fold")
    before, after = outcome.before, outcome.after
    if before is None or after is None:
        return table
    for operation in before.by_operation:
        served = ", ".join(outcome.served_by.get(operation, []))
        table.add_row(operation, *_three(before, operation), *_three(after, operation), served)
    return table


def _three(result: WorkloadResult, operation: str) -> list[str]:
    latency = result.by_operation[operation]
    return [f"{value:,.1f}" for value in (latency.p50_ms, latency.p95_ms, latency.p99_ms)]


def _verdict(outcome: Outcome) -> Table:
    table = Table("", box=None)
    for name in ("tps", "p50 ms", "p95 ms", "p99 ms", "errors"):
        table.add_column(name, justify="right")
    for name, result in (("before", outcome.before), ("after", outcome.after)):
        if result is not None:
            table.add_row(name, *_cells(list(result.summary().values())))
    table.add_row(
        Text("p95 is", style="bold"), "", "", Text(f"{outcome.speedup_p95:.1f} x", "bold green")
    )
    return table


def _cells(values: Sequence[float]) -> list[str]:
    *measured, errors = values
    return [*(f"{value:,.1f}" for value in measured), str(errors)]


def addresses(outcome: Outcome, console: Console) -> None:
    """Where everything is while the demo stays up."""
    console.print(Text("\nIt is all still running. Try:", style="bold"))
    since = outcome.started.isoformat(timespec="minutes")
    for what, how in (
        ("the gateway", f'psql "{outcome.gateway}"'),
        ("status", f"{outcome.http}/status"),
        ("metrics", f"{outcome.http}/metrics"),
        ("statements", f"{outcome.http}/statements?order=p95"),
        ("a report", f'dbopt --dsn "{outcome.dsn}" stats report --from {since}'),
        ("an audit", f'dbopt --dsn "{outcome.dsn}" index audit'),
    ):
        console.print(Text(f"  {what:<12} {how}"), soft_wrap=True)
    console.print(Text("Ctrl-C stops it all.", style="dim"))


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.0f} kB"
