from __future__ import annotations

import pytest

from dbopt.errors import ConnectError, QueryFailed, ServerLost, StoreMissing
from dbopt.store.writer import _is_refused


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        # The disk is full, a standby, no privilege, a lock, a timeout, a deadlock: it will pass.
        *((QueryFailed("", code), False) for code in ("53100", "25006", "42501", "55P03")),
        *((QueryFailed("", code), False) for code in ("57014", "40P01", "XX000", "58030")),
        (ConnectError(), False),
        (ServerLost(), False),
        (StoreMissing(), False),
        (OSError(), False),
        # The data are at fault.
        *((QueryFailed("", code), True) for code in ("22P05", "23502", "42804", "54000", "")),
        (KeyError(), True),
        (OverflowError(), True),
    ],
)
def test_what_waiting_does_not_help(error: Exception, refused: bool) -> None:
    assert refused == _is_refused(error)
