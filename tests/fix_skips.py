"""--strict-skips: a test that skipped because something is missing fails the run.

Such a test says so: `pytest.skip("missing: psql")`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

PREFIX = "Skipped: missing:"
FINE = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--strict-skips",
        action="store_true",
        help="fail when a test is skipped because something is missing",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--strict-skips") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(StrictSkips(), "strict-skips")


class StrictSkips:
    """Collects such skips, of tests and of whole modules, and fails the session."""

    def __init__(self) -> None:
        self.missing: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._note(report.nodeid, report.skipped, report.longrepr)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report.nodeid, report.skipped, report.longrepr)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.missing and session.exitstatus in FINE:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.missing:
            terminalreporter.section("skipped because something is missing", red=True)
            for line in self.missing:
                terminalreporter.line(line)

    def _note(self, nodeid: str, skipped: bool, longrepr: Any) -> None:
        if not skipped or not isinstance(longrepr, Sequence):
            return
        reason = str(longrepr[2])
        if reason.startswith(PREFIX):
            self.missing.append(f"{nodeid}: {reason.removeprefix('Skipped: ')}")
