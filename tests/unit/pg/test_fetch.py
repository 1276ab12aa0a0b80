"""The SQL files that the statistics and the store use."""

from __future__ import annotations

import pytest

from dbopt.pg.sqlfile import statement, statements

OURS = [s for s in statements() if s.name.startswith(("stats_", "store_", "server_", "explain_"))]


@pytest.mark.parametrize("entry", OURS, ids=lambda entry: f"{entry.name}-{entry.min_version}")
def test_each_is_described(entry: object) -> None:
    assert getattr(entry, "description", "")


def test_the_extensions_version_chooses() -> None:
    assert "1 AS toplevel" in statement("collect_statements", 108)
    assert "s.toplevel" in statement("collect_statements", 110)
    assert "s.blk_read_time" in statement("collect_statements", 110)
    assert "shared_blk_read_time" in statement("collect_statements", 112)
    with pytest.raises(KeyError):
        statement("collect_statements", 107)
