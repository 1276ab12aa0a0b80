"""The rules of the index audit, one module each: pure functions of a catalog and settings."""

from __future__ import annotations

from dbopt.index.rules import (
    duplicate,
    invalid,
    missing_foreign_key_index,
    redundant,
    seq_scan,
    unused,
)
from dbopt.index.rules.support import Rule

RULES: tuple[Rule, ...] = (
    invalid.check,
    missing_foreign_key_index.check,
    seq_scan.check,
    duplicate.check,
    redundant.check,
    unused.check,
)
