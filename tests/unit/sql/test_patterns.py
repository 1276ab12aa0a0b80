"""Regular expressions that every supported Python reads alike."""

from __future__ import annotations

from pathlib import Path

import pytest

import dbopt.sql

SOURCES = sorted(Path(dbopt.sql.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_possessive_group(path: Path) -> None:
    """CPython 3.11.2 (Debian 12) ends a possessive group too early."""
    assert [] == [part for part in (")*+", ")++", ")?+", "(?>") if part in path.read_text()]
