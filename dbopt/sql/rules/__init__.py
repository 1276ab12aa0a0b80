"""The lint rules for SQL, one module each: pure functions of a tree and, if known, a schema."""

from __future__ import annotations

from dbopt.sql.rules import (
    between_timestamps,
    concatenated_values,
    count_for_existence,
    distinct_hides_join,
    huge_in_list,
    leading_wildcard,
    lock_order,
    n_plus_one,
    naive_now,
    not_in_subquery,
    now_minus_column,
    null_comparison,
    offset_pagination,
    or_across_columns,
    or_for_in,
    order_by_random,
    row_by_row_inserts,
    select_star,
    union_for_union_all,
    write_without_where,
)
from dbopt.sql.rules.support import Rule

RULES: tuple[Rule, ...] = (
    between_timestamps.RULE,
    concatenated_values.RULE,
    count_for_existence.RULE,
    distinct_hides_join.RULE,
    huge_in_list.RULE,
    leading_wildcard.RULE,
    lock_order.RULE,
    n_plus_one.RULE,
    naive_now.RULE,
    not_in_subquery.RULE,
    now_minus_column.RULE,
    null_comparison.RULE,
    offset_pagination.RULE,
    or_across_columns.RULE,
    or_for_in.RULE,
    order_by_random.RULE,
    row_by_row_inserts.RULE,
    select_star.RULE,
    union_for_union_all.RULE,
    write_without_where.RULE,
)
