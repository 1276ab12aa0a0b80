"""The lint rules for SQL, one module each: pure functions of a tree and, if known, a schema."""

from __future__ import annotations

from dbopt.sql.rules import (
    count_for_existence,
    huge_in_list,
    leading_wildcard,
    lock_order,
    n_plus_one,
    not_in_subquery,
    null_comparison,
    offset_pagination,
    or_for_in,
    order_by_random,
    row_by_row_inserts,
    select_star,
    write_without_where,
)
from dbopt.sql.rules.support import Rule

RULES: tuple[Rule, ...] = (
    count_for_existence.RULE,
    huge_in_list.RULE,
    leading_wildcard.RULE,
    lock_order.RULE,
    n_plus_one.RULE,
    not_in_subquery.RULE,
    null_comparison.RULE,
    offset_pagination.RULE,
    or_for_in.RULE,
    order_by_random.RULE,
    row_by_row_inserts.RULE,
    select_star.RULE,
    write_without_where.RULE,
)
