"""The lint rules for migrations, one module each: pure functions of what the DDL says."""

from __future__ import annotations

from dbopt.sql.migration import (
    adding_foreign_key_constraint,
    ban_concurrent_index_creation_in_transaction,
    changing_column_type,
    constraint_missing_not_valid,
    disallowed_unique_constraint,
    ignore_without_reason,
    require_concurrent_index_creation,
    require_concurrent_index_deletion,
    require_concurrent_partition_detach,
    require_concurrent_reindex,
    unread,
)
from dbopt.sql.migration.support import Rule

RULES: tuple[Rule, ...] = (
    adding_foreign_key_constraint.RULE,
    ban_concurrent_index_creation_in_transaction.RULE,
    changing_column_type.RULE,
    constraint_missing_not_valid.RULE,
    disallowed_unique_constraint.RULE,
    ignore_without_reason.RULE,
    require_concurrent_index_creation.RULE,
    require_concurrent_index_deletion.RULE,
    require_concurrent_partition_detach.RULE,
    require_concurrent_reindex.RULE,
    unread.RULE,
)
"""All of them, by name."""

DEFAULT_RULES: tuple[Rule, ...] = tuple(rule for rule in RULES if rule.default)
"""Those that need not be asked for."""
