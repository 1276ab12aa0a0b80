from __future__ import annotations

from importlib.resources import files

import pytest

from dbopt.sql.functions import is_harmless, volatilities, volatility
from dbopt.sql.schema import Schema

SCHEMA = Schema(
    functions={
        ("public", "calm"): "s",
        ("public", "wild"): "v",
        ("public", "lower"): "v",
        ("app", "calm"): "i",
        ("app", "random"): "v",
    },
    search_path=("app", "public"),
)


def test_the_list_holds_all_names_once() -> None:
    text = files("dbopt.sql").joinpath("function_volatility.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line[0] != "#"]
    assert len(lines) == len(volatilities()) > 2700
    assert {"i", "s", "v"} == set(volatilities().values())


@pytest.mark.parametrize(
    ("schema", "name", "expected"),
    [
        ("", "abs", "i"),
        ("", "now", "s"),
        ("pg_catalog", "random", "v"),
        ("", "current_user", "s"),
        ("", "calm", ""),
        ("app", "abs", ""),
    ],
)
def test_volatility_without_a_catalog(schema: str, name: str, expected: str) -> None:
    assert expected == volatility(schema, name)


@pytest.mark.parametrize(
    ("schema", "name", "expected"),
    [
        ("", "calm", "s"),  # the worst of the search_path, since arguments choose
        ("app", "calm", "i"),
        ("", "wild", "v"),
        ("", "lower", "v"),
        ("pg_catalog", "lower", "i"),
        ("", "nowhere", ""),
    ],
)
def test_volatility_with_a_catalog(schema: str, name: str, expected: str) -> None:
    assert expected == volatility(schema, name, SCHEMA)


@pytest.mark.parametrize(
    ("schema", "name", "expected"),
    [
        ("", "lower", True),
        ("", "random", True),
        ("", "nextval", False),
        ("", "pg_current_xact_id", False),
        ("", "txid_current", False),
        ("", "table_to_xml", False),
        ("", "database_to_xmlschema", False),
        ("", "to_jsonb", True),
        ("", "calm", False),
        ("app", "lower", False),
        ("", "no_such_function", False),
    ],
)
def test_harmless_without_a_catalog(schema: str, name: str, expected: bool) -> None:
    assert expected == is_harmless(schema, name)


@pytest.mark.parametrize(
    ("schema", "name", "expected"),
    [
        ("", "calm", True),
        ("", "wild", False),
        ("", "lower", False),
        ("pg_catalog", "lower", True),
        ("", "random", False),
        ("pg_catalog", "random", True),
        ("", "gen_random_uuid", True),
    ],
)
def test_harmless_with_a_catalog(schema: str, name: str, expected: bool) -> None:
    assert expected == is_harmless(schema, name, SCHEMA)
