"""The lint rules for SQL, one module each: pure functions of a tree and, if known, a schema."""

from __future__ import annotations

from dbopt.sql.rules.support import Rule

RULES: tuple[Rule, ...] = ()
