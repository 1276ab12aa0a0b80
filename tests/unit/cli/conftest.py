from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.calls import Call, caller


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Call:
    """Runs `dbopt` in an empty directory."""
    monkeypatch.chdir(tmp_path)
    return caller(monkeypatch, capsys)
