"""Jobs: what is noted and logged of their runs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from dbopt.daemon.scheduling import Schedule
from dbopt.errors import ConnectError
from dbopt.trace.jobs import Jobs


def told(results: Sequence[bool | Exception | None]) -> tuple[list[str], Jobs]:
    """The events that are logged of a job whose runs end so, and what is noted of it."""
    jobs, left, over = Jobs(), list(results), asyncio.Event()

    async def work() -> bool | None:
        if not left:
            over.set()
            return False
        result = left.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    async def main() -> None:
        schedule = Schedule(jobs)
        schedule.every("work", 0.005, work, now=True)
        schedule.start()
        await asyncio.wait_for(over.wait(), 5.0)
        schedule.stop()

    with capture_logs() as logs:
        asyncio.run(main())
    return [entry["event"] for entry in logs], jobs


AWAY = ConnectError("The server is away.")


@pytest.mark.parametrize(
    ("results", "events"),
    [
        ((None, None), []),
        ((AWAY, AWAY, None), ["job failed", "job works again"]),
        ((AWAY, False, AWAY, True), ["job failed", "job works again"]),
        ((AWAY, False), ["job failed"]),
        ((AWAY, ConnectError("No password."), None), ["job failed"] * 2 + ["job works again"]),
    ],
)
def test_a_failure_is_logged_when_it_begins_and_when_it_ends(
    results: Sequence[bool | Exception | None], events: list[str]
) -> None:
    assert events == told(results)[0]


def test_runs_are_noted() -> None:
    (job,) = told((None, AWAY))[1].to_dict()
    assert ("work", 1, "") == (job["name"], job["failures"], job["error"])
    assert job["runs"] >= 2


def test_what_is_none_of_ours_is_told_by_its_type() -> None:
    _, jobs = told((ValueError("secret"),))
    (job,) = jobs.to_dict()
    assert 1 == job["failures"]
