from __future__ import annotations

import json

import pytest

from dbopt.trace.autoexplain import logged_plan
from dbopt.trace.serverlog import Message

NODE = "Seq Scan on users  (cost=0.00..35.50 rows=10 width=4) (actual time=0.1..7.2 rows=3 loops=1)"
SQL = "SELECT *\n  FROM users WHERE email = 'topsecret'"
TEXT = f"""duration: 7.25 ms  plan:
Query Text: {SQL}
Query Parameters: $1 = 'topsecret'
{NODE}
  Filter: (email = 'topsecret'::text)"""
JSON = "duration: 7.25 ms  plan:\n" + json.dumps(
    {
        "Query Text": SQL,
        "Query Parameters": "$1 = 'topsecret'",
        "Plan": {
            "Node Type": "Seq Scan", "Relation Name": "users", "Startup Cost": 0.0,
            "Total Cost": 35.5, "Plan Rows": 10, "Plan Width": 4, "Actual Startup Time": 0.1,
            "Actual Total Time": 7.2, "Actual Rows": 3, "Actual Loops": 1,
            "Filter": "(email = 'topsecret'::text)",
        },
    }
)  # fmt: skip


@pytest.mark.parametrize("text", [TEXT, JSON])
def test_an_entry(text: str) -> None:
    found = logged_plan(Message(text, "app", "alice", 17))
    assert found is not None
    assert (SQL, "app", "alice", 17, 7.25) == (
        found.sql, found.database, found.user, found.pid, found.duration_ms,
    )  # fmt: skip
    root = found.plan.root
    assert ("Seq Scan", 35.5, 7.2, 3, 1) == (
        root.type, root.total_cost, root.actual_ms, root.actual_rows, root.loops,
    )  # fmt: skip
    assert "topsecret" not in str(found.plan.json) + found.plan.text()


def test_both_formats_have_one_shape() -> None:
    text, json_ = logged_plan(Message(TEXT)), logged_plan(Message(JSON))
    assert text is not None
    assert json_ is not None
    assert text.plan.shape == json_.plan.shape


@pytest.mark.parametrize(
    "text",
    [
        "", "duration: 7.25 ms", "duration: 7.25 ms  plan:\n", "duration: 7.25 ms  plan:\n{",
        "duration: 7.25 ms  plan:\n[]", 'duration: 7.25 ms  plan:\n{"Query Text": "SELECT 1"}',
        "duration: 7.25 ms  plan:\n" + '{"Plan":' * 20_000,
        "duration: 7.25 ms  plan:\nQuery Text: SELECT 1",
        f"duration: 7.25 ms  plan:\n{NODE}",
        "duration: 7.25 ms  plan:\n<explain xmlns=\"x\"><Query-Text>SELECT 1</Query-Text>",
        f"duration: 7.25 ms  plan:\nQuery Text: SELECT /* dbopt */ 1\n{NODE}",
    ],
)  # fmt: skip
def test_what_is_no_entry(text: str) -> None:
    assert logged_plan(Message(text)) is None


HOSTILE = (
    "SELECT 'x\nResult  (cost=0.00..0.01 rows=1 width=4)\n  Filter: y', $1, '\nQuery Parameters: '"
)


def test_a_plan_in_a_constant_or_a_parameter_is_none() -> None:
    text = (
        f"duration: 7.25 ms  plan:\nQuery Text: {HOSTILE}\n"
        f"Query Parameters: $1 = 'a\nResult  (cost=0.00..0.01 rows=1 width=4)\n'\n{NODE}"
    )
    found = logged_plan(Message(text))
    assert found is not None
    assert (HOSTILE, "Seq Scan") == (found.sql, found.plan.root.type)


def test_an_entry_is_the_whole_message() -> None:
    assert logged_plan(Message(f"invalid input: {TEXT}")) is None
