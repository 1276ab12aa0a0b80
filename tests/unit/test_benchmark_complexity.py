"""The pure parts of benchmarks/complexity.py: ranks, rho, the report."""

from __future__ import annotations

import itertools
import sysconfig
from pathlib import Path

import pytest

from benchmarks import complexity as benchmark
from benchmarks.complexity import Row
from benchmarks.spearman import left_out, ranks, spearman
from benchmarks.tpch import load
from dbopt.errors import ConfigError
from dbopt.sql.classify import judge
from dbopt.sql.complexity import complexity

TPCH = load.statements("queries")
MORE = load.statements("more")


def row(kind: str, name: str, score: int, ms: float) -> Row:
    return Row(kind, name, score, "simple", score, score, "simple", float(score), ms)


ROWS = [
    *(row("tpch", f"q{n}", 10 * n, 100.0 * n) for n in range(1, 5)),
    *(row("demo", f"d{n}", 5 - n, float(n)) for n in range(1, 5)),
]


class TestSpearman:
    def test_ranks_begin_at_one_and_ties_share(self) -> None:
        assert [1, 3, 2] == ranks([0.5, 9, 3])
        assert [2.5, 1, 2.5, 4] == ranks([7, 1, 7, 8])
        assert [2, 2, 2] == ranks([5, 5, 5])
        assert [] == ranks([])

    def test_rho_of_what_grows_alike_and_against(self) -> None:
        assert 1 == pytest.approx(spearman([1, 2, 3, 4], [1, 10, 100, 1000]))
        assert -1 == pytest.approx(spearman([1, 2, 3, 4], [4, 3, 2, 1]))

    def test_rho_without_ties_is_the_textbooks_formula(self) -> None:
        """1 - 6 * sum(d^2) / (n * (n^2 - 1))."""
        one = [1, 2, 3, 4, 5]
        for other in itertools.permutations(one):
            squares = sum((a - b) ** 2 for a, b in zip(one, other, strict=True))
            assert 1 - 6 * squares / 120 == pytest.approx(spearman(one, other))

    def test_rho_with_ties(self) -> None:
        """scipy.stats.spearmanr([1, 2, 2, 3], [1, 2, 3, 4]) gives 0.9487."""
        assert 0.9487 == pytest.approx(spearman([1, 2, 2, 3], [1, 2, 3, 4]), abs=1e-4)

    def test_rho_of_what_is_all_equal_is_none(self) -> None:
        assert 0 == spearman([1, 1, 1], [1, 2, 3])

    def test_the_least_and_most_when_one_is_left_out(self) -> None:
        assert (-0.5, 1) == pytest.approx(left_out([1, 2, 3, 9], [1, 2, 3, 0]))


class TestReport:
    def test_rho_in_each_group_that_has_statements(self) -> None:
        found = benchmark.rhos(ROWS)
        assert {"tpch", "demo", "both", "all"} == set(found["text"])
        assert 1 == pytest.approx(found["text"]["tpch"]["rho"])
        assert -1 == pytest.approx(found["text"]["demo"]["rho"])
        assert 8 == found["text"]["both"]["statements"]

    def test_a_missed_target_is_named(self) -> None:
        assert [] == benchmark.missed(benchmark.rhos(ROWS[:4]))
        upside_down = [*ROWS[:4], *(row("demo", f"d{n}", 99, float(n)) for n in range(4))]
        assert ["text", "catalog"] == benchmark.missed(benchmark.rhos(upside_down))

    def test_the_table_has_each_statement_and_each_rho(self) -> None:
        text = benchmark.shown(ROWS)
        assert [name for name in ("q1", "q4", "d1", "d4") if name not in text] == []
        assert 4 == text.count("Spearman's rho")
        assert 2 == text.count("target")

    def test_json_has_all(self) -> None:
        options = benchmark.parsed(["--scale", "0.1"])
        found = benchmark.as_json(options, ROWS)
        assert (0.1, 3, 8) == (found["scale"], found["repeat"], len(found["statements"]))


def test_parameters_get_the_servers_numbers() -> None:
    assert "a = $1 AND b = $2" == benchmark.numbered("a = %s AND b = %s")


def test_without_the_generator_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    assert load.generator() is None
    with pytest.raises(ConfigError) as raised:
        load.load(None, 0.01)  # type: ignore[arg-type]
    assert "pip install tpchgen-cli" == raised.value.hint


def test_there_are_22_queries_and_others_to_hold_out() -> None:
    assert [f"q{n:02}" for n in range(1, 23)] == list(TPCH)
    assert len(MORE) >= 20


@pytest.mark.parametrize("sql", [*TPCH.values(), *MORE.values()], ids=[*TPCH, *MORE])
def test_each_statement_is_one_that_can_be_scored(sql: str) -> None:
    [judged] = judge(sql)
    assert judged.does.parsed


def test_the_scores_of_tpch_spread_from_moderate_to_extreme() -> None:
    grades = {complexity(sql).grade for sql in TPCH.values()}
    assert {"moderate", "complex", "extreme"} == grades
