"""What is other than in an earlier period: slower and new statements, and by how much. PURE."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dbopt.stats.report.model import Column, Section, Value, top
from dbopt.stats.report.moments import MIN_CALLS, MIN_FRAMES, Moment, is_slower, z_score
from dbopt.stats.report.period import Period
from dbopt.stats.report.statements import CALLS, STATEMENT
from dbopt.stats.report.sums import hexed

MIN_COVERED = 0.8
"""Share of an earlier period that there must be history of, for "new" to mean anything."""


@dataclass(frozen=True, slots=True)
class Change:
    """One statement that takes longer a call: µs a call before and now.

    `added_us` is what its calls of this period took more than they would have before; `z` by
    how many standard errors it is slower.
    """

    fingerprint: int
    before_us: float
    now_us: float
    calls: int
    added_us: float
    z: float

    @property
    def factor(self) -> float:
        """By how much it is slower."""
        return min(self.now_us / self.before_us, 9999.0) if self.before_us else 9999.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """A period and an earlier one. `name` is the earlier one's in words."""

    name: str
    id: str
    now: Period
    before: Period

    @property
    def source(self) -> str:
        """The view that the statements are compared by."""
        return self.now.moments.source

    @property
    def whole(self) -> bool:
        """Whether there is history of most of the earlier period."""
        # A minute without a statement has no frame of the gateway's: the server's own count too.
        covered = max(self.before.covered(view) for view in (self.source, "database"))
        return covered >= MIN_COVERED * self.before.seconds

    @property
    def moments(self) -> tuple[Mapping[int, Moment], Mapping[int, Moment]]:
        """Statements before, and now."""
        source = self.source
        return self.before.moments.of(source), self.now.moments.of(source)

    def slower(self) -> list[Change]:
        """Statements that take longer a call, those that added the most time first."""
        before, now = self.moments
        found = [
            Change(
                number, before[number].mean, one.mean, int(one.c),
                (one.mean - before[number].mean) * one.c, z_score(before[number], one),
            )
            for number, one in now.items()
            if number in before and is_slower(before[number], one)
        ]  # fmt: skip
        return sorted(found, key=lambda change: -change.added_us)

    def new(self) -> Iterator[tuple[int, Moment]]:
        """Statements that the earlier period did not have; none where too little is known of it."""
        before, now = self.moments
        if self.whole:
            yield from ((number, one) for number, one in now.items() if number not in before)


def slower_section(comparison: Comparison, limit: int) -> Section:
    """The statements that got slower, by the time that it costs."""
    columns = (
        STATEMENT, Column("factor", "slower", "times"), Column("before_us", "before", "us"),
        Column("now_us", "now", "us"), CALLS, Column("added_us", "adds", "us", bar=True),
        Column("z", "z", "number", least=3),
    )  # fmt: skip
    rows: list[tuple[Value, ...]] = [
        (hexed(c.fingerprint), c.factor, c.before_us, c.now_us, c.calls, c.added_us,
         min(c.z, 999.0))
        for c in comparison.slower()
    ]  # fmt: skip
    intro = (
        f"Mean time of a call against {comparison.name}. Left out: fewer than {MIN_CALLS} calls or "
        f"{MIN_FRAMES} snapshots, and differences that may be chance (z below 4)."
    )
    section = Section(
        f"slower_{comparison.id}", f"Slower than {comparison.name}", columns, (), intro
    )
    return top(section, rows, "added_us", limit)


def new_section(comparison: Comparison, limit: int) -> Section:
    """The statements that the period before did not have."""
    columns = (STATEMENT, Column("total_us", "total", "us", bar=True), CALLS,
               Column("mean_us", "mean", "us"))  # fmt: skip
    rows: list[tuple[Value, ...]] = [
        (hexed(number), one.t, int(one.c), one.mean) for number, one in comparison.new()
    ]
    section = Section(
        "statements_new", "New statements", columns, (), f"Not seen in {comparison.name}."
    )
    return top(section, rows, "total_us", limit)
