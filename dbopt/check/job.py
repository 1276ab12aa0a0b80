"""The daemon's rounds of health checks: the latest outcome, for metrics and the web."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import structlog

from dbopt.check.run import Outcome, check
from dbopt.checksettings import Check
from dbopt.errors import DboptError
from dbopt.metrics import Sample
from dbopt.sql.findings import Severity

log = structlog.get_logger(__name__)


class CheckJob:
    """Runs all rules. `last` is the latest round's outcome, None before the first.

    `limits` may be replaced while it runs (SIGHUP). It opens a connection for each round.
    """

    def __init__(
        self,
        dsn: str,
        limits: Check,
        *,
        connect_timeout: float = 5.0,
        statement_timeout: float = 10.0,
    ) -> None:
        self._dsn = dsn
        self.limits = limits
        self._connect_timeout = connect_timeout
        self._statement_timeout = statement_timeout
        self.last: Outcome | None = None

    async def run_once(self) -> None:
        """One round. Raises DboptError; what was found before then stays in `last`."""
        outcome = await check(
            self._dsn,
            self.limits,
            connect_timeout=self._connect_timeout,
            statement_timeout=self._statement_timeout,
        )
        self._tell(outcome)
        self.last = outcome

    async def run_quietly(self) -> str:
        """One round whose failure is logged and given as words, "" where there is none."""
        try:
            await self.run_once()
        except DboptError as error:
            log.warning("no health check", error=error.message, hint=error.hint)
            return error.message
        return ""

    def _tell(self, outcome: Outcome) -> None:
        """Log what is critical and was not at the last round: once, not at each round."""
        known = {(f.rule, f.object) for f in self.last.findings} if self.last else set()
        for finding in outcome.findings:
            new = (finding.rule, finding.object) not in known
            if new and finding.examined and finding.severity is Severity.CRITICAL:
                log.warning(
                    "critical finding",
                    rule=finding.rule,
                    object=finding.object,
                    finding=finding.message,
                    remedy=finding.remedy,
                )

    def to_dict(self) -> dict[str, Any]:
        """For the web: `Outcome.to_dict`, or nothing but "findings": null before the first."""
        return {"findings": None} if self.last is None else self.last.to_dict()

    def samples(self) -> Iterator[Sample]:
        """See metrics.Source: dbopt_findings by rule and severity, and when it was looked."""
        if self.last is None:
            return
        for (rule, severity), number in self.last.by_rule().items():
            yield Sample("dbopt_findings", number, (rule, severity))
        yield Sample("dbopt_check_timestamp_seconds", self.last.server.now.timestamp())
        yield Sample("dbopt_check_duration_seconds", self.last.seconds)
