"""Load: average active sessions by what they wait for, by statement, user and application. PURE.

AAS is samples of sessions at work ÷ samples taken. A session that waits for nothing is on the
CPU, as in pg_wait_sampling's and Performance Insights' charts.
"""

from __future__ import annotations

from collections import defaultdict

from dbopt.stats.report.model import Chart, Column, Group, Section, Series, Value, top
from dbopt.stats.report.period import Period
from dbopt.stats.report.sums import hexed, ratio
from dbopt.stats.report.timeline import ACTIVE, CPU, Sums

CLASSES = (CPU, "IO", "Lock", "LWLock", "Client", "IPC", "BufferPin", "Timeout", "Extension")
"""In the order in which they are stacked; others come after them."""
STATEMENTS_SHOWN = 6
MARKED = frozenset(("plan-change", "setting-changed", "server-restart"))
IDLE_IN_TRANSACTION = frozenset(("idle in transaction", "idle in transaction (aborted)"))
Waiter = tuple[str, str, int, str, str]
"""Wait class, wait event, fingerprint, user, application."""


class Load:
    """The samples of a period, added up. Each figure is average active sessions."""

    def __init__(self, period: Period) -> None:
        self.samples = period.covered("waits")
        self.idle = 0.0
        self._of: dict[Waiter, int] = {}
        for row in period.rows("waits"):
            state, kind, event, number, user, application, database = row.key
            if period.database and database not in ("", period.database):
                continue
            if state in IDLE_IN_TRANSACTION:
                self.idle += row.n("samples")
            elif state in ACTIVE:
                waiter = (str(kind) or CPU, str(event), int(number), str(user), str(application))
                self._of[waiter] = self._of.get(waiter, 0) + row.n("samples")

    @property
    def total(self) -> float:
        """Average active sessions of all."""
        return sum(self._of.values()) / self.samples if self.samples else 0.0

    def by(self, *places: int) -> dict[tuple[str | int, ...], float]:
        """Average active sessions by some places of Waiter, the largest first."""
        sums: defaultdict[tuple[str | int, ...], int] = defaultdict(int)
        for waiter, samples in self._of.items():
            sums[tuple(waiter[place] for place in places)] += samples
        ordered = sorted(sums.items(), key=lambda item: (-item[1], item[0]))
        return {key: samples / self.samples for key, samples in ordered}

    def classes(self) -> dict[str, float]:
        """Average active sessions by wait class, the largest first."""
        return {str(kind): aas for (kind,), aas in self.by(0).items()}


def load_group(period: Period, load: Load, limit: int, cpus: int, names: dict[int, str]) -> Group:
    """Charts and tables of the load; `names` are short words for statements by fingerprint."""
    if not load.samples:
        return Group("load", "Load")
    charts = (_by_class(period, cpus), _by_statement(period, load, names))
    return Group("load", "Load", charts, _sections(load, limit))


def _by_class(period: Period, cpus: int) -> Chart:
    timeline = period.timeline
    order = [kind for kind in CLASSES if kind in timeline.classes]
    order += sorted(set(timeline.classes) - set(CLASSES))
    series = tuple(
        Series(kind, timeline.values(timeline.classes[kind], timeline.sampled), kind)
        for kind in order
    )
    limit = (f"{cpus} CPUs", float(cpus)) if cpus else None
    return Chart(
        "load_by_wait", "Average active sessions by what they wait for", "number",
        timeline.step, timeline.times, series, True, limit, _marks(period),
    )  # fmt: skip


def _marks(period: Period) -> tuple[tuple[float, str], ...]:
    """Moments that explain a chart: what changed, the first twenty."""
    found = sorted((e.at.timestamp(), e.message) for e in period.events if e.kind in MARKED)
    return tuple(found[:20])


def _by_statement(period: Period, load: Load, names: dict[int, str]) -> Chart:
    timeline = period.timeline
    largest = [int(number) for (number,) in load.by(2) if number][:STATEMENTS_SHOWN]
    series = [
        Series(
            names.get(number, hexed(number)),
            timeline.values(timeline.statements[number], timeline.sampled),
        )
        for number in largest
    ]
    rest: Sums = defaultdict(float)
    for number, sums in timeline.statements.items():
        if number not in largest:
            for place, samples in sums.items():
                rest[place] += samples
    if rest:
        series.append(Series("all others", timeline.values(rest, timeline.sampled), "other"))
    return Chart(
        "load_by_statement", "Average active sessions by statement", "number",
        timeline.step, timeline.times, tuple(series), True,
    )  # fmt: skip


def _sections(load: Load, limit: int) -> tuple[Section, ...]:
    total = load.total
    figures = (Column("aas", "sessions", "number", bar=True), Column("share", "share", "share"))

    def section(id_: str, title: str, columns: tuple[Column, ...], *places: int) -> Section:
        rows: list[tuple[Value, ...]] = [
            (*(hexed(part) if isinstance(part, int) else part or "(none)" for part in key),
             aas, ratio(aas, total))
            for key, aas in load.by(*places).items()
        ]  # fmt: skip
        return top(Section(id_, title, (*columns, *figures), ()), rows, "aas", limit)

    wait = (Column("wait_class", "wait class", "text"), Column("wait_event", "event", "text"))
    statement = (Column("statement", "statement", "statement"),)
    return (
        section("waits", "What sessions waited for", wait, 0, 1),
        section("load_by_statement", "Load by statement", statement, 2),
        section(
            "waits_by_statement", "What each statement waited for",
            (*statement, Column("wait_class", "wait class", "text"),
             Column("wait_event", "event", "text")), 2, 0, 1,
        ),
        section("load_by_user", "Load by user", (Column("user", "user", "text"),), 3),
        section(
            "load_by_application", "Load by application",
            (Column("application", "application", "text"),), 4,
        ),
    )  # fmt: skip
