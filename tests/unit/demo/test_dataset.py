from __future__ import annotations

import pytest

from dbopt.demo.dataset import _schema, _thresholds


def test_thresholds() -> None:
    assert _thresholds({"a": 0.7, "b": 0.2, "c": 0.1}) == [0.7, pytest.approx(0.9)]
    assert _thresholds({"a": 1.0}) == []


def test_schema_has_both_parts() -> None:
    tables, marker, keys = _schema().partition("-- after the data --\n")
    assert marker
    assert tables.count("CREATE TABLE") == 4
    assert keys.count("FOREIGN KEY") == 3
    assert "INDEX" not in tables + keys
