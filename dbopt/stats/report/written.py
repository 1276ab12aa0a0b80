"""A report as JSON text. PURE."""

from __future__ import annotations

import json

from dbopt.stats.report.model import Report


def as_json(report: Report) -> str:
    """The stable shape of docs/report.md."""
    return json.dumps(report.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
