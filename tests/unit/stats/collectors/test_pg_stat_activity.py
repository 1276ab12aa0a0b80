"""Sessions by application stay few, whatever clients call themselves."""

from __future__ import annotations

from typing import Any

from dbopt.stats.collectors.pg_stat_activity import MAX_APPLICATIONS, OTHER, VIEW, bounded


def row(application: str, sessions: int, longest: int | None = None) -> dict[str, Any]:
    return {
        "datname": "shop", "usename": "app", "application_name": application, "state": "idle",
        "wait_event_type": "Client", "sessions": sessions, "longest_transaction_us": longest,
        "longest_query_us": None, "longest_state_us": 5,
    }  # fmt: skip


def test_few_are_left_as_they_are() -> None:
    rows = [row("web", 3), row("jobs", 2)]
    assert rows == bounded(rows)


def test_many_become_one() -> None:
    rows = [row(f"web-{n}", 2) for n in range(MAX_APPLICATIONS)]
    rows += [row(f"pod-{n}", 1, longest) for n, longest in enumerate([None, 7, 3])]
    found = bounded(rows)
    assert rows[:MAX_APPLICATIONS] == found[:-1]
    other = found[-1]
    assert (OTHER, OTHER, 3) == (other["usename"], other["application_name"], other["sessions"])
    assert (7, None, 5) == tuple(other[name] for name in VIEW.gauges[1:])


def test_the_sum_is_kept() -> None:
    rows = [row(f"pod-{n}", n) for n in range(200)]
    assert sum(range(200)) == sum(found["sessions"] for found in bounded(rows))
