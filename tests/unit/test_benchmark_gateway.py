"""The pure parts of benchmarks/gateway.py: reading pgbench, ratios, targets, the plan."""

from __future__ import annotations

import argparse
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import gateway
from benchmarks.poolbench import pgbench, proc, report
from benchmarks.poolbench.cells import (
    KINDS,
    MEASURES,
    MODES,
    Bench,
    Cell,
    Sample,
    Skipped,
    cells,
    measure,
)
from benchmarks.poolbench.peers import PEERS, Peer
from benchmarks.poolbench.pgbench import Tick
from benchmarks.poolbench.proc import Cpu
from benchmarks.poolbench.raw import READY, Client, Failed, Result, result_size
from dbopt.wire import encode
from dbopt.wire import messages as m

SIMPLE = Cell("select", "simple", 16)
EXTENDED = Cell("select", "extended", 16)
PREPARED = Cell("select", "prepared", 16)


def sample(cell: Cell, peer: str, round_: int = 0, **values: float) -> Sample:
    return Sample(cell, peer, round_, values)


def of(rows: list[report.Row], cell: Cell, title: str) -> report.Row:
    (row,) = [row for row in rows if row.title == title and row.label == cell.label]
    return row


class TestProc:
    def test_cpu_is_the_exact_sum_divided_as_the_ticks_are(self) -> None:
        before = Cpu(1_000_000_000, 10, 30)
        assert (0.5, 1.5) == Cpu(3_000_000_000, 20, 60).since(before)

    def test_cpu_without_a_tick_is_the_systems(self) -> None:
        assert (0.0, 0.002) == Cpu(2_000_000, 5, 5).since(Cpu(0, 5, 5))

    def test_our_own_cpu_time_grows_and_pid_0_has_none(self) -> None:
        before = proc.cpu(os.getpid())
        while not sum(proc.cpu(os.getpid()).since(before)):
            pass
        assert Cpu() == proc.cpu(0)

    def test_kilobytes(self) -> None:
        assert 1740 == proc.kilobytes("Name:\tx\nRss:                1740 kB\nPss: 3 kB\n", "Rss")
        with pytest.raises(ValueError, match="no Pss"):
            proc.kilobytes("Rss: 1 kB\n", "Pss")

    def test_the_peak_is_of_what_was_held_since_the_reset(self) -> None:
        base = proc.reset_peak(os.getpid())
        held = b"x" * (64 << 20)
        del held
        assert 60 << 10 < proc.peak_kb(os.getpid()) - base < 80 << 10
        assert proc.reset_peak(os.getpid()) - base < 16 << 10

    def test_parent(self) -> None:
        assert os.getppid() == proc.parent(os.getpid())

    @pytest.mark.parametrize(
        ("values", "share", "expected"),
        [([7], 0.99, 7), ([1, 2, 3, 4], 0.5, 2), (list(range(1, 101)), 0.99, 99), ([1, 9], 1, 9)],
    )
    def test_percentile_by_the_nearest_rank(
        self, values: list[int], share: float, expected: int
    ) -> None:
        assert expected == proc.percentile(values, share)


class TestPgbench:
    def test_the_first_interval_does_not_count(self) -> None:
        ticks = [
            Tick(100.0, 5.0, Cpu(1_000_000_000, 0, 0)),
            Tick(101.0, 1000.0, Cpu(1_010_000_000, 1, 1)),
            Tick(103.0, 2500.0, Cpu(1_120_000_000, 3, 9), Cpu(6_000_000, 1, 0)),
        ]
        run = pgbench.summary(ticks)
        assert pytest.approx(2000.0) == run.tps
        assert pytest.approx((5.0, 15.0, 1.0)) == (run.user_us, run.system_us, run.control_us)

    def test_too_few_lines_are_a_failure(self) -> None:
        with pytest.raises(Failed, match="1 progress lines"):
            pgbench.summary([Tick(1.0, 1.0, Cpu())])

    def test_nobodys_cpu_is_not_reported(self) -> None:
        assert {"tps": 7.0} == pgbench.Run(7.0, 0.0, 0.0).values()

    def test_latencies_leave_out_the_warm_up_and_what_was_not_done(self) -> None:
        log = (
            "0 0 900 0 1700000000 500000 3\n"
            "1 0 250 0 1700000001 600000 3\n"
            "0 1 skipped 0 1700000002 0 3\n"
            "0 2 100 0 1700000001 500000 3\n"
        )
        assert [100, 250] == pgbench.latencies(log)
        assert [] == pgbench.latencies("")

    def test_libpqs_variables_take_no_part(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PGOPTIONS", "-c work_mem=1MB")
        assert {"PGSSLMODE", "PGGSSENCMODE"} == {k for k in pgbench.environment() if k[:2] == "PG"}


class TestResult:
    @pytest.mark.parametrize("rows", [1, 9, 10, 11, 1234])
    def test_the_size_is_the_replys(self, rows: int) -> None:
        assert len(reply(rows)) == result_size(rows)

    def test_a_whole_reply_is_counted(self) -> None:
        with answering(reply(1234)) as port, Client(port) as client:
            assert result_size(1234) == Result(client, 1234).read_all()

    def test_a_reply_that_lacks_a_row_is_a_failure(self) -> None:
        with (
            answering(reply(1233)) as port,
            Client(port) as client,
            pytest.raises(Failed, match="were expected"),
        ):
            Result(client, 1234).read_all()

    def test_a_connection_that_ends_is_a_failure(self) -> None:
        with (
            answering(reply(1234)[:-1]) as port,
            Client(port) as client,
            pytest.raises(Failed, match="closed after"),
        ):
            Result(client, 1234).read_all()


def reply(rows: int) -> bytes:
    """What PostgreSQL answers to the query of Result."""
    columns = (m.Column(b"n", 0, 0, 23, 4, -1, 0), m.Column(b"x", 0, 0, 25, -1, -1, 0))
    data = [m.DataRow((str(n).encode(), b"x" * 1000)).encode() for n in range(1, rows + 1)]
    done = m.CommandComplete(f"SELECT {rows}".encode()).encode()
    return m.RowDescription(columns).encode() + b"".join(data) + done + READY


@contextmanager
def answering(data: bytes) -> Iterator[int]:
    """A server's port: it lets one client in, answers one query with `data`, and hangs up."""

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(encode.authentication_ok() + encode.ready_for_query(b"I"))
            connection.recv(1000)
            connection.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


class TestMeasure:
    PEER = Peer("dbopt", 1, lambda: 7)
    BENCH = Bench(Path("pgbench"), 1, 1)

    def outcome(self, monkeypatch: pytest.MonkeyPatch, peer: Peer, found: object) -> Sample:
        """The sample where the measurement gives `found`, or raises it."""

        def select(*_: object) -> object:
            if isinstance(found, Exception):
                raise found
            return found

        monkeypatch.setitem(MEASURES, "select", select)
        return measure(SIMPLE, peer, self.BENCH, 2)

    def test_what_was_measured(self, monkeypatch: pytest.MonkeyPatch) -> None:
        found = self.outcome(monkeypatch, self.PEER, {"tps": 3.0})
        assert Sample(SIMPLE, "dbopt", 2, {"tps": 3.0}) == found

    @pytest.mark.parametrize("error", [Failed("gone"), ConnectionResetError("gone")])
    def test_a_failure_is_kept(self, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
        expected = Sample(SIMPLE, "dbopt", 2, failed=f"{type(error).__name__}: gone")
        assert expected == self.outcome(monkeypatch, self.PEER, error)

    def test_what_the_machine_forbids_is_skipped(self, monkeypatch: pytest.MonkeyPatch) -> None:
        found = self.outcome(monkeypatch, self.PEER, Skipped("ulimit"))
        assert Sample(SIMPLE, "dbopt", 2, skipped="ulimit") == found

    def test_a_pooler_that_died_meanwhile_is_a_failure(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pids = iter([7, 8])
        found = self.outcome(monkeypatch, Peer("dbopt", 1, lambda: next(pids)), {"tps": 3.0})
        assert "dbopt's process 7 died meanwhile" == found.failed


class TestReport:
    def test_the_ratio_is_the_median_of_the_rounds_ratios(self) -> None:
        samples = [
            sample(SIMPLE, peer, round_, tps=tps)
            for round_, pair in enumerate([(100, 90), (10, 8), (1000, 990)])
            for peer, tps in zip(("pgbouncer", "dbopt"), pair, strict=True)
        ]
        row = of(report.rows(samples), SIMPLE, "-S: TPS")
        assert pytest.approx(0.9) == row.ratio
        assert {"pgbouncer": 100, "dbopt": 90} == row.values
        assert ("≥ 0.9 x", True) == (row.target, row.reached)

    def test_cpu_beyond_its_target_is_missed(self) -> None:
        samples = [
            sample(SIMPLE, "pgbouncer", cpu_us=10.0, user_us=1.0, system_us=9.0),
            sample(SIMPLE, "dbopt", cpu_us=14.0, user_us=5.0, system_us=9.0),
        ]
        rows = report.rows(samples)
        row = of(rows, SIMPLE, "-S: CPU µs a transaction")
        assert (False, "14.0 (5.0+9.0)") == (row.reached, row.shown["dbopt"])
        assert [
            "-S: CPU µs a transaction; simple, 16 clients: 14.0 (5.0+9.0), 1.40 x, wanted ≤ 1.35 x"
        ] == report.missed(rows)

    def test_prepared_is_compared_with_pgbouncers_extended(self) -> None:
        samples = [
            sample(EXTENDED, "pgbouncer", tps=100.0),
            sample(PREPARED, "dbopt", tps=200.0),
        ]
        row = of(report.rows(samples), PREPARED, "-S: TPS")
        assert 2.0 == row.ratio
        assert "extended" in row.note

    def test_prepared_is_compared_with_itself_where_it_was_measured(self) -> None:
        samples = [
            sample(EXTENDED, "pgbouncer", tps=100.0),
            sample(PREPARED, "pgbouncer", tps=400.0),
            sample(PREPARED, "dbopt", tps=200.0),
        ]
        row = of(report.rows(samples), PREPARED, "-S: TPS")
        assert (0.5, "", False) == (row.ratio, row.note, row.reached)

    def test_memory_is_judged_by_the_worst_round_and_needs_no_peer(self) -> None:
        big = Cell("big", fresh=True)
        samples = [sample(big, "dbopt", round_, growth_mb=mb) for round_, mb in enumerate([1, 20])]
        row = of(report.rows(samples), big, "one big result: growth of memory, MB")
        assert (20, None, "≤ 16 MB", False) == (
            row.values["dbopt"], row.ratio, row.target, row.reached
        )  # fmt: skip

    def test_what_was_not_measured_is_not_judged(self) -> None:
        row = of(report.rows([Sample(SIMPLE, "dbopt", 0, failed="no")]), SIMPLE, "-S: TPS")
        assert ({}, None, None) == (row.shown, row.ratio, row.reached)

    def test_the_table_says_what_failed_and_counts_the_misses(self) -> None:
        idle = Cell("idle", clients=5000)
        samples = [
            sample(SIMPLE, "pgbouncer", tps=100.0),
            sample(SIMPLE, "dbopt", tps=50.0),
            Sample(PREPARED, "dbopt", 0, failed="pgbench: [error] gone"),
            Sample(idle, "dbopt", 0, skipped="a higher limit of open files"),
        ]
        console = Console(width=gateway.WIDTH)
        with console.capture() as shown:
            report.show(report.rows(samples), samples, console)
        text = shown.get()
        assert "100 50 0.50 ≥ 0.9 x NO" in " ".join(text.split())
        assert "failed: select, prepared, 16 clients, dbopt: pgbench: [error] gone" in text
        assert "skipped: idle, 5,000 clients, dbopt: a higher limit of open files" in text
        assert "1 of 1 targets missed" in text


def options_of(**given: object) -> argparse.Namespace:
    return gateway.parsed([f"--{name}={value}" for name, value in given.items()] + ["--clients=1"])


class TestPlan:
    def test_each_round_measures_every_cell_with_all_peers_in_another_order(self) -> None:
        options = options_of(rounds=2, modes="simple", only="select,idle")
        told = [(r, cell.kind, peer) for r, cell, peer in gateway.plan(options, prepared=False)]
        assert [
            (0, "select", "direct"), (0, "select", "pgbouncer"), (0, "select", "dbopt"),
            (0, "idle", "pgbouncer"), (0, "idle", "dbopt"),
            (1, "select", "pgbouncer"), (1, "select", "dbopt"), (1, "select", "direct"),
            (1, "idle", "pgbouncer"), (1, "idle", "dbopt"),
        ] == told  # fmt: skip

    @pytest.mark.parametrize(
        ("prepared", "expected"),
        [
            (False, [("extended", "pgbouncer"), ("prepared", "direct"), ("prepared", "dbopt")]),
            (True, [("prepared", peer) for peer in PEERS]),
        ],
    )
    def test_an_old_pgbouncer_is_measured_in_extended_mode_instead(
        self, prepared: bool, expected: list[tuple[str, str]]
    ) -> None:
        options = options_of(rounds=1, modes="prepared", only="select")
        told = [(cell.mode, peer) for _, cell, peer in gateway.plan(options, prepared)]
        assert expected == told

    def test_every_cell_that_the_issue_names(self) -> None:
        found = cells(KINDS, MODES, [1, 16, 64, 256], 5000)
        assert 12 == len([cell for cell in found if cell.kind == "select"])
        assert list(KINDS) == list(dict.fromkeys(cell.kind for cell in found))
        assert {metric.kind for metric in report.METRICS} == set(KINDS)

    def test_an_unknown_word_is_refused(self) -> None:
        with pytest.raises(argparse.ArgumentTypeError, match="huge: not one of"):
            gateway.one_of(("big", "idle"))("big,huge")
