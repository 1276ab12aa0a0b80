from __future__ import annotations

from dbopt.metrics import Sample
from dbopt.trace.jobs import Jobs
from tests.unit.trace.observations import FakeClock


def test_runs_failures_and_the_last_success() -> None:
    clock = FakeClock()
    jobs = Jobs(clock)
    jobs.declare("stats")
    jobs.ran("stats")
    clock.now += 60
    jobs.ran("stats", "The database cannot be reached.")
    jobs.declare("stats")
    assert [
        {
            "name": "stats", "runs": 2, "failures": 1, "last_run": 1060.0, "last_success": 1000.0,
            "error": "The database cannot be reached.",
        }
    ] == jobs.to_dict()  # fmt: skip
    assert {
        Sample("dbopt_job_runs_total", 2, ("stats",)),
        Sample("dbopt_job_failures_total", 1, ("stats",)),
        Sample("dbopt_job_last_success_timestamp_seconds", 1000.0, ("stats",)),
    } == set(jobs.samples())


def test_a_job_that_works_again_has_no_error() -> None:
    jobs = Jobs(FakeClock())
    jobs.ran("advice", "no")
    jobs.ran("advice")
    assert "" == jobs.to_dict()[0]["error"]
