from __future__ import annotations

from dbopt.otelsettings import Otel
from dbopt.settings import TABLE


def test_nothing_is_exported_unasked_and_headers_are_secret() -> None:
    assert not Otel().enabled
    assert ["otel.headers"] == [
        key for key, setting in TABLE.items() if key.startswith("otel.") and setting.secret
    ]
