from __future__ import annotations

import pytest

from dbopt.stats.report.model import Report
from tests.report_story import story


@pytest.fixture(scope="session")
def day() -> Report:
    """The report of the eventful day, of frames of ten minutes."""
    return story(10)
