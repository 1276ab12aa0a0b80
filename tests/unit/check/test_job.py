from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from dbopt.check import job as module
from dbopt.check.job import CheckJob
from dbopt.check.run import Outcome
from dbopt.checksettings import Check
from dbopt.errors import ConnectError
from dbopt.metrics import Metrics
from dbopt.sql.findings import Finding, Severity
from tests.unit.check.test_run import outcome

OFF = Finding("fsync", Severity.CRITICAL, "fsync", "It is off.", {}, "Mend it.")


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> list[Outcome | Exception]:
    """What the next rounds give."""
    given: list[Outcome | Exception] = []

    async def check(*_: object, **__: object) -> Outcome:
        result = given.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    monkeypatch.setattr(module, "check", check)
    return given


async def _run(job: CheckJob) -> str:
    return await job.run_quietly()


def run(job: CheckJob) -> str:
    import asyncio

    return asyncio.run(_run(job))


def test_before_the_first_round() -> None:
    job = CheckJob("", Check())
    assert {"findings": None} == job.to_dict()
    assert [] == list(job.samples())


def test_a_round_is_kept_and_becomes_metrics(rounds: list[Outcome | Exception]) -> None:
    rounds.append(outcome(OFF, rules=("fsync",), seconds=0.5))
    job = CheckJob("", Check())
    assert "" == run(job)
    assert job.to_dict()["summary"]["critical"] == 1

    metrics = Metrics("1")
    metrics.add(job)
    text = metrics.render()[0].decode()
    assert 'dbopt_findings{rule="fsync",severity="critical"} 1.0' in text
    assert 'dbopt_findings{rule="fsync",severity="warning"} 0.0' in text
    assert "dbopt_check_duration_seconds 0.5" in text


def test_a_failure_leaves_what_was_found(rounds: list[Outcome | Exception]) -> None:
    rounds += [outcome(OFF), ConnectError("It is away.")]
    job = CheckJob("", Check())
    run(job)
    before = job.last
    with capture_logs() as logs:
        assert "It is away." == run(job)
    assert job.last is before
    assert ["no health check"] == [line["event"] for line in logs]


def test_what_is_critical_is_logged_once(rounds: list[Outcome | Exception]) -> None:
    rounds += [outcome(OFF), outcome(OFF), outcome(), outcome(OFF)]
    job = CheckJob("", Check())
    with capture_logs() as logs:
        for _ in range(4):
            run(job)
    assert ["fsync", "fsync"] == [line["rule"] for line in logs]
