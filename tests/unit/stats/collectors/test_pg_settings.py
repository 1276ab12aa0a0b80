"""Settings whose value is not to be shown."""

from __future__ import annotations

import pytest

from dbopt.stats.collectors.pg_settings import is_secret


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("work_mem", False),
        ("primary_conninfo", True),
        ("ssl_passphrase_command", True),
        ("archive_command", True),
        ("auto_explain.log_min_duration", False),
        ("pg_stat_statements.max", False),
        ("some_extension.api_key", True),
    ],
)
def test_is_secret(name: str, expected: bool) -> None:
    assert expected is is_secret(name)
