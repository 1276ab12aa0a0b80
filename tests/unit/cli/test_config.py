from __future__ import annotations

import json
from pathlib import Path

import pytest

from dbopt.configsample import sample
from dbopt.settings import NAMED_TABLE, TABLE
from tests.unit.cli.calls import Call

DSN = "postgresql://app:hunter2@db.internal/app"
EVERY = [*TABLE, *(setting.key for table in NAMED_TABLE.values() for setting in table.values())]


def test_check_without_a_file(call: Call) -> None:
    assert "No file: 0 set, all right.\n" == call("config", "check").out
    assert {"ok": True, "file": None, "set": []} == json.loads(
        call("config", "check", "--json").out
    )


def test_check_of_a_good_file(call: Call) -> None:
    Path("config.toml").write_text("[trace]\nslow = 5\n")
    assert "config.toml: 1 set, all right.\n" == call("config", "check").out
    document = json.loads(call("-s", "pool.max_size=7", "config", "check", "--json").out)
    assert {"ok": True, "file": "config.toml", "set": ["pool.max_size", "trace.slow"]} == document


def test_check_of_a_bad_file(call: Call) -> None:
    Path("config.toml").write_text("[trace]\nslwo = 5\n")
    result = call("config", "check")
    assert (2, "") == (result.code, result.out)
    assert (
        "dbopt: config.toml:2: trace.slwo: there is no such key. Did you mean trace.slow?"
    ) == result.line


def test_show_tells_every_value_and_where_it_is_from(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("config.toml").write_text("[trace]\nslow = 5\n")
    monkeypatch.setenv("DBOPT_TRACE__MAX_SLOW", "6")

    shown = json.loads(call("-s", "pool.max_size=7", "config", "show", "--json").out)

    assert list(TABLE) == list(shown)
    assert {"value": 5.0, "from": "config.toml:2"} == shown["trace.slow"]
    assert {"value": 6, "from": "environment DBOPT_TRACE__MAX_SLOW"} == shown["trace.max_slow"]
    assert {"value": 7, "from": "--set"} == shown["pool.max_size"]
    assert {"value": 6432, "from": "default"} == shown["gateway.port"]


def test_show_what_was_changed(call: Call) -> None:
    shown = json.loads(call("-s", "pool.max_size=7", "config", "show", "--changed", "--json").out)
    assert ["pool.max_size"] == list(shown)


def test_show_the_sections_of_many(call: Call) -> None:
    Path("config.toml").write_text(
        '[databases.app]\nmax_size = 5\nuser = "s"\npassword = "hunter2"\n[users.u]'
    )
    shown = json.loads(
        call("-s", "users.u.mode=session", "config", "show", "--changed", "--json").out
    )
    assert {
        "databases.app.user": {"value": "s", "from": "config.toml:3"},
        "databases.app.password": {"value": "********", "from": "config.toml:4"},
        "databases.app.max_size": {"value": 5, "from": "config.toml:2"},
        "users.u.mode": {"value": "session", "from": "--set"},
    } == shown


def test_check_counts_an_empty_section(call: Call) -> None:
    Path("config.toml").write_text("[databases.app]\n")
    document = json.loads(call("config", "check", "--json").out)
    assert ["databases.app"] == document["set"]


@pytest.mark.parametrize("words", [("config", "show"), ("config", "show", "--json")])
def test_secrets_are_masked(call: Call, words: tuple[str, ...]) -> None:
    result = call("--dsn", DSN, "-s", f"store.dsn={DSN}", *words)
    assert 0 == result.code
    assert 2 == result.out.count("********")
    assert "hunter2" not in result.out
    assert "db.internal" not in result.out


def test_docs_of_a_section(call: Call) -> None:
    out = call("config", "docs", "pool.max").out
    assert (
        "pool.max_size\n"
        "  Server connections at most, of one pool, a worker.\n"
        "  a whole number from 1 to 10000; default 20; SIGHUP reloads it; DBOPT_POOL__MAX_SIZE\n"
    ) in out
    assert "gateway" not in out


def test_docs_of_what_is_inherited(call: Call) -> None:
    assert ("users.NAME.mode\n") in call("config", "docs", "users").out
    assert (
        "databases.NAME.dbname\n"
        "  Database's name on the server. Left out: dsn's, or the name that the client gave.\n"
        "  a string; inherited when left out; SIGHUP reloads it\n"
    ) in call("config", "docs", "databases.NAME.dbname").out


def test_docs_name_every_setting(call: Call) -> None:
    out = call("config", "docs").out
    assert EVERY == [line for line in out.splitlines() if not line.startswith(" ")]


def test_docs_as_toml_are_the_sample(call: Call) -> None:
    assert sample() == call("config", "docs", "--format", "toml").out


def test_docs_as_json(call: Call) -> None:
    documents = json.loads(call("config", "docs", "--format", "json").out)
    assert EVERY == [one["key"] for one in documents]
    assert {
        "key": "gateway.queue_timeout", "env": "DBOPT_GATEWAY__QUEUE_TIMEOUT", "type": "float",
        "default": 30.0, "unit": "s", "allowed": "a number from 0.01 to 86400 (s)",
        "reload": True, "secret": False, "doc": TABLE["gateway.queue_timeout"].doc,
    } in documents  # fmt: skip
