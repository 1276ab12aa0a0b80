"""What the control process's periodic jobs did: how often, whether it worked, and when last."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from dbopt.clock import Clock, wall
from dbopt.metrics import Sample


@dataclass(slots=True)
class Job:
    """One job. Times are epoch seconds, 0 where it never happened; `error` is the last run's."""

    name: str
    runs: int = 0
    failures: int = 0
    last_run: float = 0.0
    last_success: float = 0.0
    error: str = ""


class Jobs:
    """All jobs by name. A name is the program's own, so that there are few."""

    def __init__(self, clock: Clock = wall) -> None:
        self._clock = clock
        self._jobs: dict[str, Job] = {}

    def declare(self, name: str) -> None:
        """Show a job before its first run."""
        self._jobs.setdefault(name, Job(name))

    def ran(self, name: str, error: str = "") -> None:
        """A job ended; `error` says why it failed, and is empty where it did not."""
        job = self._jobs.setdefault(name, Job(name))
        job.runs += 1
        job.last_run = self._clock()
        job.error = error
        if error:
            job.failures += 1
        else:
            job.last_success = job.last_run

    def to_dict(self) -> list[dict[str, Any]]:
        """For JSON."""
        return [asdict(job) for job in self._jobs.values()]

    def samples(self) -> Iterator[Sample]:
        """See metrics.Source."""
        for job in self._jobs.values():
            yield Sample("dbopt_job_runs_total", job.runs, (job.name,))
            yield Sample("dbopt_job_failures_total", job.failures, (job.name,))
            yield Sample("dbopt_job_last_success_timestamp_seconds", job.last_success, (job.name,))
