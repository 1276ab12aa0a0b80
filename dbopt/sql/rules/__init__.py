"""The lint rules for SQL, one module each: pure functions of a tree and, if known, a schema."""

from __future__ import annotations

from dbopt.sql.rules import (
    huge_in_list,
    lock_order,
    n_plus_one,
    null_comparison,
    or_for_in,
    row_by_row_inserts,
    write_without_where,
)
from dbopt.sql.rules.support import Rule

RULES: tuple[Rule, ...] = (
    huge_in_list.RULE,
    lock_order.RULE,
    n_plus_one.RULE,
    null_comparison.RULE,
    or_for_in.RULE,
    row_by_row_inserts.RULE,
    write_without_where.RULE,
)
