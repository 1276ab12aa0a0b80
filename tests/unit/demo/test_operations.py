from __future__ import annotations

import random
import re

import pytest
import sqlglot

from dbopt.demo.operations import OPERATIONS, Draw, Operation
from dbopt.demo.population import TOPICS, Population

SMALL = Population(users=100, lessons=10)

by_name = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)


def draw(seed: int = 1) -> Draw:
    return Draw(random.Random(seed), SMALL)  # noqa: S311 - it draws parameters


def test_names_are_unique() -> None:
    names = [operation.name for operation in OPERATIONS]
    assert names == list(dict.fromkeys(names))


@by_name
def test_parameters_fit_the_placeholders(operation: Operation) -> None:
    assert len(operation.make_params(draw())) == operation.sql.count("%s")


@by_name
def test_parameters_are_the_same_for_the_same_seed(operation: Operation) -> None:
    assert operation.make_params(draw(5)) == operation.make_params(draw(5))


@by_name
def test_results_are_bounded(operation: Operation) -> None:
    bounded = re.search(r"\bLIMIT \d+|\bemail = |^INSERT|^UPDATE", operation.sql)
    assert bounded is not None


@by_name
def test_one_statement_of_plain_sql(operation: Operation) -> None:
    statement = operation.sql.replace("%s", "NULL")
    assert len(sqlglot.parse(statement, read="postgres")) == 1
    assert "--" not in statement
    assert "/*" not in statement


def test_ids_are_within_the_population() -> None:
    drawn = draw()
    assert {drawn.user() for _ in range(2_000)} <= set(range(1, 101))
    assert {drawn.lesson() for _ in range(2_000)} == set(range(1, 11))


def test_busy_users_are_asked_for_more_often() -> None:
    drawn = draw()
    users = [drawn.user() for _ in range(10_000)]
    # The busiest of 100 gets the square root of a hundredth.
    assert users.count(1) / len(users) == pytest.approx(0.1, abs=0.015)


def test_topics_differ() -> None:
    drawn = draw()
    asked = [drawn.topics() for _ in range(500)]
    assert {len(topics) for topics in asked} == {1, 2}
    assert {topic for topics in asked for topic in topics} == set(TOPICS)
    assert all(len(set(topics)) == len(topics) for topics in asked)
