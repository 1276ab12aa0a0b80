from __future__ import annotations

from dbopt.index.audit import audit
from dbopt.settings import Index as Settings
from dbopt.sql.findings import Severity
from tests.unit.index.builders import catalog, foreign_key, index


def _said(*arguments: object, **facts: object) -> list[tuple[str, str]]:
    return [(f.rule, f.object) for f in audit(catalog(*arguments, **facts), Settings())]


def test_nothing_wrong_nothing_said() -> None:
    assert _said(indexes=[index("used", "a", scans=5)]) == []


def test_an_index_that_two_rules_would_drop_is_one_finding() -> None:
    indexes = [index("short", "a"), index("long", "a", "b", scans=9)]

    assert _said(indexes=indexes) == [("redundant", "s.short")]


def test_the_gravest_comes_first() -> None:
    indexes = [index("broken", "a", valid=False), index("idle", "b")]

    found = audit(catalog(indexes=indexes, foreign_keys=[foreign_key("c")]), Settings())

    assert [f.severity for f in found] == [Severity.CRITICAL, Severity.WARNING, Severity.WARNING]
    assert found[0].object == "s.broken"


def test_twins_that_support_a_foreign_key_do_not_both_go() -> None:
    indexes = [index("one", "a"), index("two", "a")]

    assert _said(indexes=indexes, foreign_keys=[foreign_key("a")]) == [("duplicate", "s.two")]


def test_the_same_catalog_gives_the_same_findings() -> None:
    indexes = [index("one", "a"), index("two", "a"), index("three", "a", "b")]

    assert _said(indexes=indexes) == _said(indexes=indexes[::-1])


def test_what_takes_over_from_another_is_not_dropped_as_unused() -> None:
    """Both remedies together would leave no index for the queries of the short one."""
    indexes = [index("short", "a", scans=9), index("long", "a", "b")]

    assert _said(indexes=indexes) == [("redundant", "s.short")]
