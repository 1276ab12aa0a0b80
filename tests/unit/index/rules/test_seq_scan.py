from __future__ import annotations

import pytest

from dbopt.index.rules.seq_scan import check
from dbopt.settings import Index as Settings
from tests.unit.index.builders import catalog, table

HEAVY = {"rows": 20_000, "seq_scan": 50, "seq_tup_read": 1_000_000, "idx_tup_fetch": 10}


def test_a_large_table_read_again_and_again_is_found() -> None:
    (finding,) = check(catalog([table(**HEAVY)]), Settings())

    assert finding.object == "s.t"
    assert finding.evidence["rows_per_scan"] == 20_000


@pytest.mark.parametrize(
    "fact",
    [
        {"rows": 999},
        {"seq_scan": 9},
        {"seq_tup_read": 499_999},
        {"idx_tup_fetch": 1_000_001},
    ],
)
def test_small_rare_short_or_indexed_reading_is_not(fact: dict[str, int]) -> None:
    assert list(check(catalog([table(**{**HEAVY, **fact})]), Settings())) == []


def test_without_counters_it_is_not_examined() -> None:
    (finding,) = check(catalog([table(**HEAVY)], counted=False), Settings())

    assert not finding.examined
