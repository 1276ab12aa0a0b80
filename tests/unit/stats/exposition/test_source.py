from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from dbopt.metrics import DEFINITIONS as OWN
from dbopt.metrics import Metrics, Type
from dbopt.metricsettings import Metrics as Settings
from dbopt.stats.collectors import VIEWS
from dbopt.stats.exposition.source import DEFINITIONS, FAMILIES, Exposition
from dbopt.stats.view import Collected
from dbopt.trace.pgbouncer import DEFINITIONS as PGBOUNCER
from tests.support import wait_until
from tests.unit.stats.exposition.rows import SERVER, VIEW, exposition, full, row, values


def everything() -> dict[str, Collected]:
    latest = {view.name: Collected(rows=[full(view.name)]) for view in VIEWS}
    latest["settings"] = Collected(
        rows=[row("settings", name="work_mem", setting="4096", unit="kB", source="file")]
    )
    latest["locks"].rows.append(full("locks") | {"granted": False})
    latest["progress"] = Collected(
        rows=[full("progress") | {"pid": 1, "command": "VACUUM", "unit": "blocks"}]
    )
    return latest


def rendered(accept: str = "") -> str:
    metrics = Metrics("1")
    metrics.add(exposition(everything()), DEFINITIONS)
    return metrics.render(accept)[0].decode()


def test_each_family_reads_columns_that_its_view_has() -> None:
    for family in FAMILIES:
        view = VIEW[family.view]
        numbers = {column.column for column in family.columns} | set(family.rank)
        assert numbers <= set(view.counters + view.gauges), family.view
        words = {column for _, column in family.labels if column}
        assert words <= set(view.key + view.labels), family.view


def test_names_are_told_once_and_of_the_right_type() -> None:
    all_of_them = [*OWN, *DEFINITIONS, *PGBOUNCER]
    assert len(all_of_them) == len({definition.name for definition in all_of_them})
    for definition in DEFINITIONS:
        assert re.fullmatch(r"(pg|dbopt)_[a-z]+(_[a-z]+)*", definition.name)
        assert (definition.type is Type.COUNTER) == definition.name.endswith("_total")
        assert definition.doc.endswith(".")


def test_whole_numbers_become_base_units() -> None:
    latest = {
        "statements": Collected(
            rows=[row("statements", queryid=-7, role="alice", calls=3, total_exec_us=2_500_000)]
        ),
        "database": Collected(
            rows=[row("database", datid=5, datname="app", blk_read_us=1500, active_us=1500)]
        ),
        "tables": Collected(
            rows=[row("tables", schemaname="public", relname="songs", seq_scan=4)]
        ),
        "sequences": Collected(rows=[row("sequences", relname="ids", used_ppm=250_000)]),
        "activity": Collected(
            rows=[
                row("activity", datname="app", usename="u", application_name="a", state="active",
                    wait_event_type=None, sessions=2, longest_transaction_us=3_000_000),
            ]
        ),
    }  # fmt: skip
    found = values(exposition(latest))
    statement = ("alice", "app", "-7")
    assert 2.5 == found["pg_stat_statements_seconds_total", statement]
    assert 3 == found["pg_stat_statements_calls_total", statement]
    assert 1.5 == found["pg_stat_database_blk_read_time", ("5", "app")]
    assert 0.0015 == found["pg_stat_database_active_time_seconds_total", ("5", "app")]
    assert 4 == found["pg_stat_user_tables_seq_scan", ("app", "public", "songs")]
    assert 0 == found["pg_stat_user_tables_last_vacuum", ("app", "public", "songs")]
    assert 0.25 == found["dbopt_sequence_used_ratio", ("app", "schemaname", "ids")]
    session = ("app", "active", "u", "a", "")
    assert 2 == found["pg_stat_activity_count", session]
    assert 3.0 == found["pg_stat_activity_max_tx_duration", session]
    assert 3.0 == found["pg_long_running_transactions_oldest_timestamp_seconds", ()]
    assert ("pg_stat_user_tables_idx_scan", ("app", "public", "songs")) not in found


def test_equal_labels_are_one_series() -> None:
    def one(toplevel: bool) -> dict[str, object]:
        return row("statements", queryid=1, role="u", toplevel=toplevel, calls=2)

    found = values(exposition({"statements": Collected(rows=[one(True), one(False)])}))
    assert 4 == found["pg_stat_statements_calls_total", ("u", "app", "1")]


def test_the_rest_of_the_tables_is_other() -> None:
    def tables(*scans: int) -> Collected:
        return Collected(
            rows=[
                row("tables", schemaname="s", relname=f"t{number}", seq_scan=scan, n_live_tup=10)
                for number, scan in enumerate(scans)
            ]
        )

    latest = {"tables": tables(100, 90, 5, 1)}
    source = exposition(latest, tables=2)
    name, other = "pg_stat_user_tables_seq_scan", ("app", "other", "other")
    assert 6 == values(source)[name, other]
    assert 20 == values(source)["pg_stat_user_tables_n_live_tup", other]
    latest["tables"] = tables(100, 90, 8, 2)
    assert 10 == values(source)[name, other]
    assert 10 == values(source)[name, other]  # a second scrape counts nothing twice
    own = {labels[2] for found, labels in values(source) if found == name}
    assert {"t0", "t1", "other"} == own


def test_zero_leaves_statements_out() -> None:
    latest = {"statements": Collected(rows=[row("statements", queryid=1, role="u", calls=2)])}
    names = {name for name, _ in values(exposition(latest, statements=0))}
    assert not {name for name in names if name.startswith("pg_stat_statements")}


def test_who_does_not_collect_says_only_so() -> None:
    source = Exposition(Settings(), everything, lambda: SERVER, lambda: False, lambda: True)
    assert {("pg_up", ()): 1.0, ("dbopt_collecting", ()): 0.0} == values(source)
    lost = Exposition(Settings(), dict, lambda: None, lambda: True, lambda: False)
    assert {("pg_up", ()): 0.0, ("dbopt_collecting", ()): 1.0} == values(lost)


def test_all_that_is_defined_can_come() -> None:
    given = {name for name, _ in values(exposition(everything()))}
    missing = {definition.name for definition in DEFINITIONS} - given
    assert set() == {name for name in missing if not name.startswith("pg_settings_")}


@pytest.mark.parametrize("limit", [1, 3])
def test_a_scrape_is_bounded(limit: int) -> None:
    rows = [row("tables", schemaname="s", relname=f"t{n}", seq_scan=n) for n in range(50)]
    found = values(exposition({"tables": Collected(rows=rows)}, tables=limit))
    assert limit + 1 == sum(name == "pg_stat_user_tables_seq_scan" for name, _ in found)


def test_promtool_finds_no_fault() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("missing: promtool")
    done = subprocess.run(
        [promtool, "check", "metrics"], input=rendered(), capture_output=True, text=True
    )
    assert "" == done.stdout + done.stderr
    assert 0 == done.returncode


def test_openmetrics_can_be_parsed() -> None:
    text = rendered("application/openmetrics-text; version=1.0.0")
    names = {family.name for family in text_string_to_metric_families(text)}  # type: ignore[no-untyped-call]
    assert {"pg_stat_database_xact_commit", "pg_stat_statements_calls", "pg_locks_count"} <= names


def test_much_is_worked_through_in_a_thread() -> None:
    rows = [row("tables", schemaname="s", relname=f"t{n}", seq_scan=n) for n in range(50)]
    source = Exposition(
        Settings(tables=2), lambda: {"tables": Collected(rows=rows)}, lambda: SERVER,
        lambda: True, lambda: True, at_once=10,
    )  # fmt: skip
    name = ("pg_stat_user_tables_seq_scan", ("app", "s", "t49"))
    wait_until(lambda: name in values(source), what="the tables")
    assert 49 == values(source)[name]


def test_what_was_collected_goes_with_the_lock() -> None:
    leading = True
    latest = {"tables": Collected(rows=[row("tables", schemaname="s", relname="t", seq_scan=1)])}
    source = Exposition(Settings(), lambda: latest, lambda: SERVER, lambda: leading, lambda: True)
    name = ("pg_stat_user_tables_seq_scan", ("app", "s", "t"))
    assert name in values(source)
    leading = False
    assert name not in values(source)
