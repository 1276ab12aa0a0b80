from __future__ import annotations

from dbopt.sql.complexity import WORDS, complexity
from dbopt.sql.guess import guess
from dbopt.sql.lexer import code
from tests.unit.sql.complexity_support import points

BROKEN = "select )( from a join b union select 1 group by (select 1 where x or y"


def test_what_cannot_be_parsed_is_guessed_from_its_keywords() -> None:
    expected = {
        "unparsed": 1, "depth": 2, "join": 1, "set_operation": 1, "grouping": 1,
        "correlated_subquery": 1, "or_columns": 1,
    }  # fmt: skip
    assert expected == dict(guess(code(BROKEN)))
    assert set(expected) == set(points(BROKEN))
    assert complexity(BROKEN).score > complexity("select 1").score


def test_each_guess_has_a_weight() -> None:
    everything = "join cross lateral recursive union intersect except over distinct order or group"
    assert set(guess(code(everything))) <= set(WORDS)


def test_nesting_is_counted_as_deep_as_it_is_open() -> None:
    assert 1 == guess(code("a (select 1"))["depth"] - 1
    assert 2 == guess(code("(select (select 1) , (select 2)) , (select 3)"))["depth"] - 1
    assert 0 == guess(code(")))) select"))["depth"] - 1
