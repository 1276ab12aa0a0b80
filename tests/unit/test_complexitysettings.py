from __future__ import annotations

from dataclasses import fields

import pytest

from dbopt.complexitysettings import Complexity
from dbopt.configfile import load
from dbopt.errors import ConfigError
from dbopt.settings import TABLE
from dbopt.sql.complexity import DEFAULT, complexity

OURS = [setting for key, setting in TABLE.items() if key.startswith("complexity.")]


def test_the_section_is_the_weights_of_the_score() -> None:
    assert DEFAULT == load().complexity
    assert isinstance(load().complexity, Complexity)
    assert [f.name for f in fields(Complexity)] == [setting.name for setting in OURS]


def test_each_can_be_reloaded() -> None:
    assert [] == [setting.key for setting in OURS if not setting.reload]


def test_the_environment_sets_one() -> None:
    weights = load(env={"DBOPT_COMPLEXITY__JOIN": "50"}).complexity
    assert 50 == weights.join
    text = "select a from t left join u using (x) join v using (y) where b = 1"
    assert complexity(text).score < complexity(text, weights=weights).score


@pytest.mark.parametrize("value", ["-1", "10001", "x", "1.5"])
def test_what_is_no_weight_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match=r"complexity\.join"):
        load(overrides=[f"complexity.join={value}"])


@pytest.mark.parametrize(
    ("key", "value"), [("narrowed_share", "1.1"), ("rows_floor", "0"), ("cost_floor", "0.5")]
)
def test_shares_and_floors_are_limited(key: str, value: str) -> None:
    with pytest.raises(ConfigError, match=key):
        load(overrides=[f"complexity.{key}={value}"])
