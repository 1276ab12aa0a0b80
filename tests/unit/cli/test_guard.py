"""`dbopt guard check`, and what the others refuse before they connect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dbopt.sql.fingerprint import fingerprint
from tests.unit.cli.calls import Call

WRITE = "DELETE FROM orders"
HEX = f"{fingerprint(WRITE):016x}"


def checked(call: Call, *words: str) -> tuple[int, dict[str, Any]]:
    result = call(*words, "--json")
    assert "" == result.err
    return result.code, json.loads(result.out)


# check


def test_a_refused_statement_is_shown_with_all_reasons(call: Call) -> None:
    result = call("guard", "check", WRITE)
    assert (1, "") == (result.code, result.err)
    head, message, detail, hint, mode = result.out.splitlines()
    assert f"1:1: {HEX} refused (unqualified-write, 21000)" == head
    assert (
        "  statement refused by the guard: an UPDATE or DELETE does not say which rows" == message
    )
    assert "40 for write of a whole table" in detail
    assert hint.endswith(f"If it must run as it is, ask for {HEX} in guard.allow.")
    assert 'guard.mode is "observe" here: nothing is refused yet.' == mode


def test_what_may_run(call: Call) -> None:
    result = call(
        "-s", "guard.mode=enforce", "-s", "guard.timeout_simple=2", "-s", "guard.max_rows=9",
        "guard", "check", "SELECT 1",
    )  # fmt: skip
    assert (0, "") == (result.code, result.err)
    assert result.out.splitlines()[0].endswith(
        " may run (simple 11, for 2 s at most, 9 rows at most)"
    )
    assert 1 == len(result.out.splitlines())


def test_heavy_ones_go_by_the_lane(call: Call) -> None:
    words = ("guard", "check", "SELECT * FROM a, b, c, d, e, f")
    assert "by the lane of heavy statements" in call("-s", "guard.max_complexity=0", *words).out


def test_a_file_and_its_places(call: Call) -> None:
    Path("clean.sql").write_text(f"SELECT 1;\n\n  {WRITE}; -- all\nUPDATE a SET b = 'topsecret';\n")
    code, shown = checked(call, "guard", "check", "clean.sql")
    assert (1, "observe") == (code, shown["mode"])
    assert [
        ("clean.sql:1:1", False, ""),
        ("clean.sql:3:3", True, "unqualified-write"),
        ("clean.sql:4:1", True, "unqualified-write"),
    ] == [(one["where"], one["refused"], one["rule"]) for one in shown["statements"]]
    assert "topsecret" not in json.dumps(shown)
    assert HEX == shown["statements"][1]["fingerprint"]


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("[databases.app]", ("--database", "app")),
        ("[users.bob]", ("--user", "bob")),
        ("[applications.job]", ("--application", "job")),
        ('[routes."/clean"]', ("--route", "/clean")),
    ],
)
def test_the_rules_of_whom_it_is_asked_for(
    call: Call, section: str, words: tuple[str, ...]
) -> None:
    Path("config.toml").write_text(
        f'{section}\nguard_unqualified_writes = "allow"\nguard_mode = "enforce"\n'
    )
    assert 1 == call("guard", "check", WRITE).code
    code, shown = checked(call, "guard", "check", WRITE, *words)
    assert (0, "enforce", False) == (code, shown["mode"], shown["statements"][0]["refused"])


def test_a_cost_that_cannot_be_asked_for_is_said(call: Call) -> None:
    dsn = "postgresql://app:hunter2@127.0.0.1:1/shop"
    result = call("--dsn", dsn, "-s", "guard.max_cost=10", "guard", "check", "SELECT a FROM t")
    assert (0, "") == (result.code, result.err)
    assert "The planner's cost is not known: PostgreSQL at 127.0.0.1:1/shop as app" in result.out
    assert "hunter2" not in result.out


# quarantine, release


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("quarantine", "SELECT 1; SELECT 2"), "This is neither a fingerprint"),
        (("quarantine", "5d1f0a7c"), "This is neither a fingerprint"),
        (("quarantine", ""), "This is neither a fingerprint"),
        (("quarantine", HEX, "--for", "1"), "found no time such as 90s"),
        (("quarantine", HEX, "--for", "0s"), "found no time such as 90s"),
        (("quarantine", HEX, "--for", "400d"), "366d at most"),
        (("quarantine", HEX, "--for", "-1h"), "found no time such as 90s"),
        (("release",), "Name a statement, or give --all."),
        (("release", HEX, "--all"), "Name a statement, or give --all."),
    ],
)
def test_a_wrong_call(call: Call, words: tuple[str, ...], said: str) -> None:
    result = call("guard", *words)
    assert (2, "") == (result.code, result.out)
    assert said in result.err
    assert "Traceback" not in result.err
