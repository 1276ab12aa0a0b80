from __future__ import annotations

import pytest

from dbopt.sql.findings import Severity
from dbopt.sql.migration import RULES
from dbopt.sql.migration.lint import lint_migration


def tells(name: str, text: str) -> list[tuple[str, Severity]]:
    """Where one rule fires, and how badly."""
    rules = [rule for rule in RULES if rule.name == name]
    return [(one.object, one.severity) for one in lint_migration(text, rules=rules)]


ADD = "ALTER TABLE t ADD COLUMN a text"


@pytest.mark.parametrize(
    ("text", "bounded"),
    [
        (f"SET lock_timeout = '2s'; {ADD}", True),
        (f"SET lock_timeout = 2000; {ADD}", True),
        (f"SET lock_timeout = '0s'; {ADD}", False),
        ("BEGIN; LOCK TABLE t NOWAIT; COMMIT", True),
        ("BEGIN; LOCK TABLE t; COMMIT", False),
        (f"SET lock_timeout = '0'; {ADD}", False),
        (f"SET lock_timeout = '2s'; RESET ALL; {ADD}", False),
        (f"SET lock_timeout = '2s'; DISCARD ALL; {ADD}", False),
        (f"BEGIN; SET LOCAL lock_timeout = '2s'; {ADD}; COMMIT", True),
        (f"BEGIN; SET LOCAL lock_timeout = '2s'; COMMIT; {ADD}", False),
        (f"BEGIN; SET LOCAL lock_timeout = '2s'; COMMIT; BEGIN; {ADD}; COMMIT", False),
        (f"BEGIN; SET lock_timeout = '2s'; COMMIT; {ADD}", True),
        (f"BEGIN; SET lock_timeout = '2s'; ROLLBACK; {ADD}", False),
        (f"SET lock_timeout = '2s'; BEGIN; SET LOCAL lock_timeout = 0; COMMIT; {ADD}", True),
        (f"SET lock_timeout = '2s'; BEGIN; SET LOCAL lock_timeout = 0; {ADD}; COMMIT", False),
    ],
)
def test_a_timeout_holds_as_long_as_it_does(text: str, bounded: bool) -> None:
    assert bounded == (not tells("require-lock-timeout", text))


def test_reset_all_takes_the_timeout_off_a_concurrent_build() -> None:
    name, build = "lock-timeout-on-concurrent-build", "CREATE INDEX CONCURRENTLY i ON t (a)"
    assert [] == tells(name, f"SET lock_timeout = '2s'; RESET ALL; {build}")
    assert [] == tells(name, f"SET lock_timeout = '0ms'; {build}")
    assert [("1:26", Severity.WARNING)] == tells(name, f"SET lock_timeout = '2s'; {build}")
