from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest

from dbopt.configfile import load
from dbopt.settings import NAMED, SECTIONS, TABLE, Gateway, Server, Setting, Settings, Store

PACKAGE = Path(__file__).parents[2] / "dbopt"
KEYS = pytest.mark.parametrize("setting", TABLE.values(), ids=lambda setting: setting.key)


BY_NAME = ("limits.py", "worker.py", "complexity.py")


@cache
def used() -> frozenset[str]:
    return frozenset(attributes())


def attributes() -> Iterator[str]:
    """Every attribute that dbopt reads of anything, but for the modules that know the table.

    gateway/limits.py, gateway/worker.py and sql/complexity.py ask for some by their names.
    """
    for file in PACKAGE.rglob("*.py"):
        if file.name not in ("settings.py", "poolsettings.py", "configcheck.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Attribute):
                    yield node.attr
                elif file.name in BY_NAME and isinstance(node, ast.Constant):
                    yield str(node.value)


def test_the_table_has_every_field_of_every_section() -> None:
    every = [f"{name}.{f.name}" for name, cls in SECTIONS.items() for f in fields(cls)]
    assert every == list(TABLE)
    assert [f.name for f in fields(Settings)] == [*SECTIONS, *NAMED]


@KEYS
def test_each_setting_is_documented(setting: Setting) -> None:
    assert re.fullmatch(r"\S.*[.)]", setting.doc), setting.doc
    assert SECTIONS[setting.section].__doc__


@KEYS
def test_each_default_is_allowed(setting: Setting) -> None:
    assert type(setting.default) is setting.type
    text = str(setting.default).lower() if setting.type is bool else str(setting.default)
    if not setting.choices or setting.key != "gateway.auth_type":
        loaded = load(overrides=[f"{setting.key}={text}"])
        assert setting.default == getattr(getattr(loaded, setting.section), setting.name)


@KEYS
def test_each_number_has_a_lower_bound_and_each_time_a_unit(setting: Setting) -> None:
    if setting.type in (int, float):
        assert setting.low is not None
        assert setting.high is None or setting.low < setting.high
    if setting.type is float and setting.high != 1:
        assert setting.unit


@KEYS
def test_each_setting_is_used(setting: Setting) -> None:
    checked_alone = setting.key == "gateway.trust_remote"  # a leave, which acts in no place
    assert checked_alone or setting.name in used()


@KEYS
def test_environment_names(setting: Setting) -> None:
    assert f"DBOPT_{setting.section.upper()}__{setting.name.upper()}" == setting.env


def test_what_may_hold_a_password_is_secret() -> None:
    secret = {key for key, setting in TABLE.items() if setting.secret}
    assert {"server.dsn", "otel.headers", "store.dsn", "report.webhook"} == secret


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("gateway.auth_type", 'one of "trust", "scram-sha-256", "md5", "plain"'),
        ("gateway.port", "a whole number from 0 to 65535"),
        ("trace.slow", "a number of at least 0 (ms)"),
        ("stats.enabled", "true or false"),
        ("gateway.host", "a string"),
        ("gateway.max_clients", "a whole number from 1 to 1000000"),
    ],
)
def test_what_is_allowed_in_words(key: str, words: str) -> None:
    assert words == TABLE[key].allowed


def test_the_store_is_in_the_served_database_unless_it_has_its_own() -> None:
    served = Server(dsn="postgresql:///app")
    assert "postgresql:///app" == Settings(server=served).store_dsn
    assert "postgresql:///s" == Settings(server=served, store=Store("postgresql:///s")).store_dsn


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Gateway().port = 1  # type: ignore[misc]
