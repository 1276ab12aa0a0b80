from __future__ import annotations

from dbopt.stats.report.model import Section
from dbopt.stats.report.statements import Statements, statement_sections
from tests.unit.stats.report.made import frame, period, statement

NAMES = ("calls", "total_exec_us", "rows", "shared_blks_hit", "shared_blks_read",
         "temp_blks_written", "wal_bytes", "total_plan_us", "jit_generation_us")  # fmt: skip


def sections(statements: Statements, limit: int = 10) -> dict[str, Section]:
    return {section.id: section for section in statement_sections(statements, limit)}


def test_users_of_one_statement_add_up() -> None:
    rows = {(1, user, 1): (user, 100 * user, 0, 9, 1, 2, 3, 4, 5) for user in (1, 3)}
    labels = {key: {"role": f"u{key[1]}", "fingerprint": 77} for key in rows}
    found = Statements(period().add_all([frame("statements", 1, rows, NAMES, labels=labels)]))
    assert 400 == found.total_us
    (record,) = sections(found)["statements_by_time"].records()
    expected = {"statement": f"{77:016x}", "total_us": 400, "share": 1.0, "calls": 4,
                "mean_us": 100.0, "rows": 0, "hit_ratio": 0.9, "io_us": None,
                "users": "u1, u3"}  # fmt: skip
    assert expected == record
    (record,) = sections(found)["statements_by_temp"].records()
    assert 4 * 8192 == record["temp_written_bytes"]
    assert "statements_by_rows" not in sections(found)


def test_nested_statements_are_apart_and_no_share_of_the_whole() -> None:
    made = period().add_all([statement(1, 5, 10, 100), statement(1, 6, 10, 90, level=0)])
    found = Statements(made)
    assert 100 == found.total_us
    (row,) = sections(found)["statements_nested"].rows
    assert f"{6:016x}" == row[0]


def test_what_does_not_fit_is_counted() -> None:
    made = period().add_all([statement(1, number, 1, number) for number in range(1, 6)])
    section = sections(Statements(made), 2)["statements_by_time"]
    assert (2, 3) == (len(section.rows), section.left_out)
