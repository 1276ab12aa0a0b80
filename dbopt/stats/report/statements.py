"""Statements: what pg_stat_statements counted, the largest of each kind of cost. PURE."""

from __future__ import annotations

from collections.abc import Sequence

from dbopt.stats.report.model import Column, Section, Value, top
from dbopt.stats.report.period import Period, Row
from dbopt.stats.report.sums import Sum, hexed, hit_ratio, ratio, summed

BLOCK = 8192
"""Bytes. pg_stat_statements counts blocks; a server built otherwise is rare."""
STATEMENT = Column("statement", "statement", "statement")
CALLS = Column("calls", "calls")
TOTAL = Column("total_us", "total", "us", bar=True)
MEAN = Column("mean_us", "mean", "us")
IO_TIMES = tuple(
    f"{kind}_blk_{way}_us" for kind in ("shared", "local", "temp") for way in ("read", "write")
)
JIT_TIMES = tuple(
    f"jit_{part}_us" for part in ("generation", "inlining", "optimization", "emission", "deform")
)


class Statements:
    """The period's statements by fingerprint. `of` are the sums of those that clients called.

    `nested` were called by functions: their time is in their callers', so they count apart.
    """

    def __init__(self, period: Period) -> None:
        rows = period.rows("statements")
        self.of = summed(rows, lambda row: _number(row) if row.key[-1] else None)
        self.nested = summed(rows, lambda row: None if row.key[-1] else _number(row))
        self.roles: dict[int, set[str]] = {}
        for row in rows:
            number = _number(row)
            if number is not None and row.n("calls"):
                self.roles.setdefault(number, set()).add(str(row.labels.get("role") or "?"))
        self.total_us = sum(sums.get("total_exec_us", 0) for sums in self.of.values())


def _number(row: Row) -> int | None:
    found = row.labels.get("fingerprint")
    return None if found is None else int(found)


def total_of(sums: Sum, names: Sequence[str]) -> int | None:
    """The sum of some counters, None where none of them was measured."""
    found = [sums[name] for name in names if name in sums]
    return sum(found) if found else None


def statement_sections(statements: Statements, limit: int) -> tuple[Section, ...]:
    """One table a kind of cost, those that have any."""
    makers = (_by_time, _by_calls, _by_mean, _by_io, _by_rows, _by_temp, _by_wal, _by_plan, _by_jit)
    found = [make(statements, limit) for make in makers]
    return tuple(section for section in [*found, _nested(statements, limit)] if section.rows)


def _by_time(statements: Statements, limit: int) -> Section:
    columns = (
        STATEMENT, TOTAL, Column("share", "share", "share"), CALLS, MEAN,
        Column("rows", "rows", least=2), Column("hit_ratio", "hit", "share", least=3),
        Column("io_us", "I/O time", "us", least=4), Column("users", "users", "text", least=5),
    )  # fmt: skip
    rows: list[tuple[Value, ...]] = [
        (
            hexed(number), sums.get("total_exec_us"),
            ratio(sums.get("total_exec_us"), statements.total_us),
            sums.get("calls"), _mean(sums), sums.get("rows"), _hit(sums), total_of(sums, IO_TIMES),
            ", ".join(sorted(statements.roles.get(number, ()))),
        )
        for number, sums in statements.of.items()
    ]  # fmt: skip
    section = Section("statements_by_time", "Statements by total time", columns, ())
    return top(section, rows, "total_us", limit)


def _mean(sums: Sum) -> float | None:
    return ratio(sums.get("total_exec_us"), sums.get("calls"))


def _hit(sums: Sum) -> float | None:
    return hit_ratio(sums.get("shared_blks_hit"), sums.get("shared_blks_read"))


def _by_calls(statements: Statements, limit: int) -> Section:
    columns = (STATEMENT, Column("calls", "calls", bar=True), MEAN, TOTAL, _per_call("rows"))
    rows: list[tuple[Value, ...]] = [
        (hexed(number), sums.get("calls"), _mean(sums), sums.get("total_exec_us"),
         ratio(sums.get("rows"), sums.get("calls")))
        for number, sums in statements.of.items()
    ]  # fmt: skip
    section = Section("statements_by_calls", "Statements by calls", columns, ())
    return top(section, rows, "calls", limit)


def _per_call(name: str) -> Column:
    return Column(f"{name}_per_call", f"{name}/call", "number", least=2)


def _by_mean(statements: Statements, limit: int) -> Section:
    columns = (STATEMENT, Column("mean_us", "mean", "us", bar=True), CALLS, TOTAL)
    rows: list[tuple[Value, ...]] = [
        (hexed(number), _mean(sums), sums.get("calls"), sums.get("total_exec_us"))
        for number, sums in statements.of.items()
        if sums.get("calls")
    ]
    section = Section("statements_by_mean", "Statements by mean time", columns, ())
    return top(section, rows, "mean_us", limit)


def _by_io(statements: Statements, limit: int) -> Section:
    columns = (
        STATEMENT, Column("read_bytes", "read", "bytes", bar=True),
        Column("hit_ratio", "hit", "share"), Column("hit_bytes", "from cache", "bytes", least=2),
        Column("dirtied_bytes", "dirtied", "bytes", least=1),
        Column("written_bytes", "written", "bytes", least=3), CALLS,
        Column("io_us", "I/O time", "us", least=4),
    )  # fmt: skip
    rows: list[tuple[Value, ...]] = [
        (
            hexed(number), _bytes(sums, "shared_blks_read"), _hit(sums),
            _bytes(sums, "shared_blks_hit"), _bytes(sums, "shared_blks_dirtied"),
            _bytes(sums, "shared_blks_written"), sums.get("calls"), total_of(sums, IO_TIMES),
        )
        for number, sums in statements.of.items()
    ]  # fmt: skip
    section = Section("statements_by_io", "Statements by blocks read", columns, ())
    return top(section, rows, "read_bytes", limit)


def _bytes(sums: Sum, name: str) -> int | None:
    blocks = sums.get(name)
    return None if blocks is None else blocks * BLOCK


def _by_rows(statements: Statements, limit: int) -> Section:
    columns = (STATEMENT, Column("rows", "rows", bar=True), _per_call("rows"), CALLS, TOTAL)
    rows: list[tuple[Value, ...]] = [
        (hexed(number), sums.get("rows"), ratio(sums.get("rows"), sums.get("calls")),
         sums.get("calls"), sums.get("total_exec_us"))
        for number, sums in statements.of.items()
    ]  # fmt: skip
    section = Section("statements_by_rows", "Statements by rows", columns, ())
    return top(section, rows, "rows", limit)


def _by_temp(statements: Statements, limit: int) -> Section:
    columns = (
        STATEMENT, Column("temp_written_bytes", "temporary, written", "bytes", bar=True),
        Column("temp_read_bytes", "read", "bytes", least=1), CALLS, TOTAL,
    )  # fmt: skip
    rows: list[tuple[Value, ...]] = [
        (hexed(number), _bytes(sums, "temp_blks_written"), _bytes(sums, "temp_blks_read"),
         sums.get("calls"), sums.get("total_exec_us"))
        for number, sums in statements.of.items()
    ]  # fmt: skip
    section = Section("statements_by_temp", "Statements by temporary files", columns, ())
    return top(section, rows, "temp_written_bytes", limit)


def _by_wal(statements: Statements, limit: int) -> Section:
    columns = (
        STATEMENT, Column("wal_bytes", "WAL", "bytes", bar=True),
        Column("wal_records", "records", least=1), Column("wal_fpi", "full pages", least=2),
        CALLS, TOTAL,
    )  # fmt: skip
    names = ("wal_bytes", "wal_records", "wal_fpi", "calls", "total_exec_us")
    return _plain(statements, "statements_by_wal", "Statements by WAL", columns, names, limit)


def _by_plan(statements: Statements, limit: int) -> Section:
    columns = (
        STATEMENT, Column("total_plan_us", "planning", "us", bar=True), Column("plans", "plans"),
        CALLS, TOTAL,
    )  # fmt: skip
    names = ("total_plan_us", "plans", "calls", "total_exec_us")
    title = "Statements by planning time"
    return _plain(statements, "statements_by_planning", title, columns, names, limit)


def _plain(
    statements: Statements, id_: str, title: str, columns: tuple[Column, ...],
    names: tuple[str, ...], limit: int,
) -> Section:  # fmt: skip
    rows: list[tuple[Value, ...]] = [
        (hexed(number), *(sums.get(name) for name in names))
        for number, sums in statements.of.items()
    ]
    return top(Section(id_, title, columns, ()), rows, names[0], limit)


def _by_jit(statements: Statements, limit: int) -> Section:
    columns = (
        STATEMENT, Column("jit_us", "JIT", "us", bar=True),
        Column("share", "of its time", "share"), Column("functions", "functions", least=1), CALLS,
        TOTAL,
    )  # fmt: skip
    rows: list[tuple[Value, ...]] = []
    for number, sums in statements.of.items():
        jit = total_of(sums, JIT_TIMES)
        total = sums.get("total_exec_us")
        functions = sums.get("jit_functions")
        rows.append((hexed(number), jit, ratio(jit, total), functions, sums.get("calls"), total))
    section = Section("statements_by_jit", "Statements by JIT compilation", columns, ())
    return top(section, rows, "jit_us", limit)


def _nested(statements: Statements, limit: int) -> Section:
    columns = (STATEMENT, TOTAL, CALLS, MEAN)
    rows: list[tuple[Value, ...]] = [
        (hexed(number), sums.get("total_exec_us"), sums.get("calls"), _mean(sums))
        for number, sums in statements.nested.items()
    ]
    section = Section(
        "statements_nested", "Statements that functions ran", columns, (),
        "Their time is in their callers' too.",
    )  # fmt: skip
    return top(section, rows, "total_us", limit)
