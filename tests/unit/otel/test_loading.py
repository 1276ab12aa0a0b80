from __future__ import annotations

import sys

import pytest

from dbopt.errors import ConfigError
from dbopt.otel.loading import telemetry
from dbopt.otelsettings import Otel


def test_nothing_is_loaded_while_it_is_off() -> None:
    assert telemetry(Otel()) is None


def test_without_the_extra_it_says_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "dbopt.otel.telemetry", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.metric_exporter", None)
    with pytest.raises(ConfigError, match=r"pip install 'dbopt\[otel\]'"):
        telemetry(Otel(enabled=True))
