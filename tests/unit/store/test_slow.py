from __future__ import annotations

import pytest

from dbopt.store.slow import trace_id

ID = "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (f"00-{ID}-b7ad6b7169203331-01", ID),
        (f"00-{ID}-b7ad6b7169203331-01-more", ID),
        (f"00-{'0' * 32}-b7ad6b7169203331-01", ""),
        (f"00-{ID.upper()}-b7ad6b7169203331-01", ""),
        (ID, ""),
        ("", ""),
    ],
)
def test_the_trace_id(given: str, expected: str) -> None:
    assert expected == trace_id(given)
