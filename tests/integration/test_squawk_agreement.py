"""squawk 2.70 and dbopt on the same migrations: they agree, or the docs say why not.

The cases are our own, named after squawk's rules; its documentation's examples are among them in
other words. squawk runs as it is, from PyPI: never as a dependency of dbopt itself.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

import pytest

from dbopt.sql.migration.lint import RULES
from dbopt.sql.split import statements
from tests.integration.squawk_differences import DIFFERENCES, LACKING, Right
from tests.integration.squawk_support import (
    CASES,
    INDEX_AND_LOCKING,
    SQUAWK,
    VERSION,
    Case,
    cases,
    ours,
    squawk,
    squawk_rules,
)

pytestmark = pytest.mark.skipif(not SQUAWK.exists(), reason="squawk-cli is not installed")

SAME = frozenset(rule.squawk for rule in RULES if rule.squawk)
"""squawk's rules that dbopt has too."""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[Case, set[str]]:
    """What squawk says of each case."""
    return squawk(cases(), tmp_path_factory.mktemp("squawk"), squawk_rules())


def test_it_is_the_version_that_the_differences_are_of() -> None:
    done = subprocess.run([SQUAWK, "--version"], capture_output=True, text=True, check=True)
    assert f"squawk {VERSION}" == done.stdout.strip()


def test_the_cases_are_enough(said: dict[Case, set[str]]) -> None:
    assert len(statements(CASES.read_text(encoding="utf-8"))) >= 120
    names = Counter(map(str, said))
    assert [] == [name for name, count in names.items() if count > 1]
    # Each rule of squawk's has a case that it finds something in, and one that it does not.
    for rule in squawk_rules():
        own = [rule in found for case, found in said.items() if case.rule in {rule, _old(rule)}]
        assert any(own), rule
        others = [rule in found for found in said.values()]
        assert not all(others), rule


def _old(rule: str) -> str:
    return "require-timeout-settings" if rule.endswith("-timeout") else rule


def test_every_rule_of_squawks_is_here_or_is_said_to_be_missing() -> None:
    assert squawk_rules() - SAME == set(LACKING)
    assert set() == INDEX_AND_LOCKING - SAME


def test_they_agree_but_where_the_docs_say(said: dict[Case, set[str]]) -> None:
    found = {
        (str(case), rule, "dbopt" if rule in mine else "squawk")
        for case, theirs in said.items()
        for mine in [ours(case)]
        for rule in (mine ^ theirs) & SAME
    }
    told = {
        (case, rule, one.only) for one in DIFFERENCES for rule in one.rules for case in one.cases
    }
    elsewhere = {(rule, one.only) for one in DIFFERENCES if not one.cases for rule in one.rules}
    untold = {one for one in found if one[1:] not in elsewhere} - told
    assert set() == untold
    # Of several rules and cases, each of both has one at least.
    for one in DIFFERENCES:
        met = [(c, r) for c, r, only in found if only == one.only and r in one.rules]
        if one.cases:
            assert set(one.cases) == {case for case, _ in met if case in one.cases}
        assert set(one.rules) == {rule for case, rule in met if case in one.cases or not one.cases}


def test_where_squawk_alone_is_right_the_rule_is_mended() -> None:
    assert [] == [one for one in DIFFERENCES if one.right is Right.SQUAWK]


def test_a_copy_of_squawks_marker_works_in_both(tmp_path: Path) -> None:
    sql = "-- squawk-ignore ban-drop-column\nALTER TABLE t DROP COLUMN IF EXISTS a;\n"
    case = Case("ban-drop-column", "marked", sql)
    theirs = squawk([case], tmp_path, ["require-table-schema"])[case]
    assert "ban-drop-column" not in theirs | ours(case)
    assert "require-lock-timeout" in theirs & ours(case)
