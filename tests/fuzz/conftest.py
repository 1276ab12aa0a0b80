"""Adds up the messages that the fuzzers tried, over all tests and xdist workers."""

from __future__ import annotations

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [one for found in terminalreporter.stats.values() for one in found]
    calls = [one for one in reports if getattr(one, "when", "") == "call"]
    properties = [pair for one in calls for pair in one.user_properties]
    total = sum(value for name, value in properties if name == "messages")
    if total:
        terminalreporter.write_line(f"fuzzed {total} messages")
