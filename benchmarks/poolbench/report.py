"""From samples to rows of a table: medians, ratios to PgBouncer, targets."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.poolbench.cells import Cell, Sample
from benchmarks.poolbench.peers import PEERS


@dataclass(frozen=True, slots=True)
class Target:
    """A limit of dbopt's value, or of its ratio to PgBouncer's."""

    limit: float
    at_least: bool = False
    ratio: bool = True
    unit: str = ""

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        return f"{sign} {self.limit:g}" + (" x" if self.ratio else f" {self.unit}")

    def reached(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit


@dataclass(frozen=True, slots=True)
class Metric:
    """One value of one kind of cell: how it is called, summed up over the rounds, and judged."""

    kind: str
    key: str
    title: str
    target: Target | None = None
    worst: bool = False
    """The highest of the rounds, not the median: memory must never grow."""
    digits: int = 1
    parts: tuple[str, str] | None = None
    """Two values that add up to it, shown in brackets."""

    def over_rounds(self, values: Iterable[float]) -> float:
        return (max if self.worst else statistics.median)(values)


TPS = Target(0.9, at_least=True)
CPU = Target(1.35)
GROWTH = Target(16, ratio=False, unit="MB")
IDLE = Target(12, ratio=False, unit="kB")
_CPU = "CPU µs a transaction"
_PARTS = ("user_us", "system_us")
METRICS = (
    Metric("select", "tps", "-S: TPS", TPS, digits=0),
    Metric("select", "cpu_us", f"-S: {_CPU}", CPU, parts=_PARTS),
    Metric("tpcb", "tps", "TPC-B: TPS", TPS, digits=0),
    Metric("tpcb", "cpu_us", f"TPC-B: {_CPU}", CPU, parts=_PARTS),
    Metric("latency", "p50_ms", "-S, fixed rate: p50, ms", digits=3),
    Metric("latency", "p99_ms", "-S, fixed rate: p99, ms", Target(1.3), digits=3),
    Metric("latency", "cpu_us", f"-S, fixed rate: {_CPU}", parts=_PARTS),
    Metric("connect", "tps", "connect + query: a second", TPS, digits=0),
    Metric("connect", "cpu_us", f"connect + query: {_CPU}", CPU, parts=_PARTS),
    Metric("big", "mb_s", "one big result: MB/s", TPS, digits=0),
    Metric("big", "growth_mb", "one big result: growth of memory, MB", GROWTH, worst=True),
    Metric("slow", "growth_mb", "a slow reader: growth of memory, MB", GROWTH, worst=True),
    Metric("slow", "other_ms", "a slow reader: another's longest wait, ms"),
    Metric("idle", "connected_kb", "idle clients: kB each, logged in", IDLE, worst=True),
    Metric("idle", "queried_kb", "idle clients: kB each, after a query", IDLE, worst=True),
    Metric("idle", "logins_s", "idle clients: logins a second", digits=0),
    Metric(
        "worker", "rss_mb", "an idle worker: RSS, MB", Target(45, ratio=False, unit="MB"),
        worst=True,
    ),
    Metric("worker", "pss_mb", "an idle worker: PSS, MB", worst=True),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table. `ratio` is dbopt's to the reference, PgBouncer's."""

    title: str
    label: str
    values: dict[str, float]
    shown: dict[str, str]
    ratio: float | None
    target: str
    reached: bool | None
    note: str = ""


def rows(samples: list[Sample]) -> list[Row]:
    """Every metric of every cell that was measured, metric by metric."""
    cells = list(dict.fromkeys(sample.cell for sample in samples))
    return [
        row(metric, cell, samples)
        for metric in METRICS
        for cell in cells
        if cell.kind == metric.kind
    ]


def row(metric: Metric, cell: Cell, samples: list[Sample]) -> Row:
    """One metric of one cell."""
    by = {peer: of(samples, cell, peer) for peer in PEERS}
    theirs, note = reference(samples, cell)
    by["pgbouncer"] = theirs
    values = {
        peer: metric.over_rounds(numbers.values())
        for peer, found in by.items()
        if (numbers := each(found, metric.key))
    }
    ratio = paired_ratio(each(by["dbopt"], metric.key), each(theirs, metric.key), metric)
    judged = (ratio if metric.target.ratio else values.get("dbopt")) if metric.target else None
    reached = metric.target.reached(judged) if metric.target and judged is not None else None
    shown = {peer: text(metric, value, by[peer]) for peer, value in values.items()}
    target = str(metric.target or "")
    return Row(metric.title, cell.label, values, shown, ratio, target, reached, note)


def of(samples: list[Sample], cell: Cell, peer: str) -> list[Sample]:
    return [sample for sample in samples if sample.cell == cell and sample.peer == peer]


def reference(samples: list[Sample], cell: Cell) -> tuple[list[Sample], str]:
    """PgBouncer's samples; those of the extended mode where it was not measured in prepared."""
    found = of(samples, cell, "pgbouncer")
    if found or cell.mode != "prepared":
        return found, ""
    instead = Cell(cell.kind, "extended", cell.clients)
    return of(
        samples, instead, "pgbouncer"
    ), "compared with PgBouncer in extended mode; this version has no prepared statements"


def each(samples: list[Sample], key: str) -> dict[int, float]:
    """The value by round."""
    return {s.round: s.values[key] for s in samples if key in s.values}


def paired_ratio(ours: dict[int, float], theirs: dict[int, float], metric: Metric) -> float | None:
    """The median of the rounds' ratios: what loads the machine for a while cancels out."""
    if metric.worst:
        top, bottom = (max(values.values(), default=0.0) for values in (ours, theirs))
        return top / bottom if bottom > 0 and ours else None
    ratios = [ours[r] / theirs[r] for r in ours if theirs.get(r, 0.0) > 0]
    return statistics.median(ratios) if ratios else None


def text(metric: Metric, value: float, samples: list[Sample]) -> str:
    """The value as it is printed."""
    number = f"{value:,.{metric.digits}f}"
    if metric.parts is None:
        return number
    user, system = (metric.over_rounds(each(samples, part).values()) for part in metric.parts)
    return f"{number} ({user:.1f}+{system:.1f})"


def missed(found: list[Row]) -> list[str]:
    """The targets that were not reached."""
    return [
        f"{row.title}; {row.label}: {row.shown.get('dbopt', '-')}"
        + (f", {row.ratio:.2f} x" if row.ratio is not None else "")
        + f", wanted {row.target}"
        for row in found
        if row.reached is False
    ]


def show(found: list[Row], samples: list[Sample], console: Console) -> None:
    """The table, a section a metric; what went wrong; how many targets were missed."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for name in ("", "direct", "PgBouncer", "dbopt", "ratio", "target", "reached"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for title in dict.fromkeys(row.title for row in found if row.shown):
        table.add_row(f"[bold]{title}[/bold]")
        for row in found:
            if row.title == title and row.shown:
                table.add_row(*line(row))
        table.add_section()
    console.print(table)
    for note in dict.fromkeys(row.note for row in found if row.note):
        console.print(f"* {note}")
    console.print(
        f"CPU: the pooler's own (user+system){control(samples)}; ratio: dbopt / PgBouncer"
    )
    for sample in samples:
        if said := sample.failed or sample.skipped:
            kind = "[red]failed[/red]" if sample.failed else "skipped"
            console.print(
                f"{kind}: {sample.cell.kind}, {sample.cell.label}, {sample.peer}: ", end=""
            )
            console.print(said, markup=False)
    judged = [row for row in found if row.reached is not None]
    console.print(f"{len(missed(found))} of {len(judged)} targets missed")


def control(samples: list[Sample]) -> str:
    """What dbopt's control process, which is not counted there, spent meanwhile."""
    found = [v for s in samples if s.cell.kind == "select" if (v := s.values.get("control_us"))]
    if not found:
        return ""
    return f", without dbopt's control process: {statistics.median(found):.1f} µs more"


def line(row: Row) -> list[str]:
    """A row's columns."""
    ratio = "-" if row.ratio is None else f"{row.ratio:.2f}"
    mark = {True: "[green]yes[/green]", False: "[red]NO[/red]", None: "-"}[row.reached]
    label = f"  {row.label} *" if row.note else f"  {row.label}"
    return [label, *(row.shown.get(peer, "-") for peer in PEERS), ratio, row.target or "-", mark]
