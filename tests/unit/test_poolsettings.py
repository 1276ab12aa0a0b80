"""The sections that there may be many of: the same limits as [pool], and nothing else."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

import msgspec
import pytest

from dbopt.guardsection import AppRoute
from dbopt.poolsettings import Application, Database, Pool, User
from dbopt.settings import NAMED, NAMED_TABLE, TABLE, Setting, Settings, setting_of

EVERY = [setting for table in NAMED_TABLE.values() for setting in table.values()]
KEYS = pytest.mark.parametrize("setting", EVERY, ids=lambda setting: setting.key)
PER_USER = {"max_user_connections", "max_user_clients"}


def test_the_sections_of_many() -> None:
    assert {
        "databases": Database, "users": User, "applications": Application, "routes": AppRoute,
    } == NAMED  # fmt: skip


@KEYS
def test_each_is_documented(setting: Setting) -> None:
    assert re.fullmatch(r"\S.*[.)]", setting.doc), setting.doc
    assert setting.reload
    assert not setting.env


@KEYS
def test_each_default_is_to_inherit(setting: Setting) -> None:
    assert (1.0 if setting.name == "weight" else None) == setting.default


@KEYS
def test_what_stands_in_for_another_has_its_limits(setting: Setting) -> None:
    if not setting.instead:
        assert setting.example is not None
        return
    of = TABLE[setting.instead]
    name = setting.name.removeprefix("guard_")
    assert setting.instead == f"{'pool' if name == setting.name else 'guard'}.{name}"
    assert (of.type, of.unit, of.low, of.high, of.choices, of.secret) == (
        setting.type, setting.unit, setting.low, setting.high, setting.choices, setting.secret,
    )  # fmt: skip


def test_a_database_may_have_all_of_the_pool_but_what_is_a_users() -> None:
    table = NAMED_TABLE["databases"].values()
    own = {setting.name for setting in table if setting.instead.startswith("pool.")}
    assert {f.name for f in fields(Pool)} - PER_USER == own
    assert PER_USER <= set(NAMED_TABLE["users"])


def test_what_may_hold_a_password_is_secret() -> None:
    assert ["databases.NAME.dsn", "databases.NAME.password"] == [s.key for s in EVERY if s.secret]


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("pool.max_size", "pool.max_size"),
        ("databases.app.max_size", "databases.app.max_size"),
        ("databases.a.b.max_size", "databases.a.b.max_size"),
        ("databases.*.host", "databases.*.host"),
        ("users.u.mode", "users.u.mode"),
        ("routes./users.guard_deny", "routes./users.guard_deny"),
        ("users.u.host", None), ("databases.app", None), ("databases", None), ("", None),
        ("pool.app.max_size", None), ("databases.app.", None), ("pool", None),
    ],
)  # fmt: skip
def test_the_setting_of_a_key(key: str, found: str | None) -> None:
    setting = setting_of(key)
    assert found == (setting and setting.key)


def test_they_travel_to_the_workers() -> None:
    sent: Any = Settings(
        databases={"*": Database(max_size=3, dsn="host=x"), "app": Database()},
        users={"u": User(query_timeout=1.5)},
        applications={"web": Application(2.0, guard_mode="enforce")},
        routes={"/x": AppRoute(guard_max_rows=5)},
    )
    assert sent == msgspec.msgpack.decode(msgspec.msgpack.encode(sent), type=Settings)
