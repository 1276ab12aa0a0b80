"""Where squawk and dbopt differ on the cases, who is right, and why. The docs show this table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Right(StrEnum):
    DBOPT = "dbopt"
    SQUAWK = "squawk"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Difference:
    """`only` says it, the other does not, of each rule in each case."""

    rules: tuple[str, ...]
    only: str
    right: Right
    why: str
    cases: tuple[str, ...]


TIMEOUTS = ("require-lock-timeout", "require-statement-timeout")
_INDEX, _NEW = "require-concurrent-index-creation", "each statement by itself"

DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        TIMEOUTS,
        "squawk",
        Right.DBOPT,
        "Nobody queues behind a CONCURRENTLY, VACUUM or ALTER INDEX RENAME, and a lock_timeout "
        "ends a concurrent build that waits for an old snapshot: an invalid index stays.",
        (
            f"{_INDEX}: concurrently",
            "require-concurrent-index-deletion: concurrently",
            "require-concurrent-reindex: concurrently",
            "ban-concurrent-index-creation-in-transaction: wrapped by the tool",
            "ban-concurrent-index-creation-in-transaction: wrapped, but ended first",
            "require-timeout-settings: an index",
            "prefer-robust-stmts: two concurrent indexes",
            "prefer-robust-stmts: a concurrent index without a name",
            "prefer-robust-stmts: two drops",
            "prefer-repack: vacuum",
            "renaming-table: an index",
        ),
    ),
    Difference(
        TIMEOUTS,
        "squawk",
        Right.DBOPT,
        "Only what the text itself has made is locked, or no table at all: nobody waits for it.",
        (
            f"{_INDEX}: on a new table",
            f"{_INDEX}: on a new one, {_NEW}",
            "ban-replace-view-function: a function",
            "ban-alter-role-options: one",
            "ban-create-domain-with-constraint: with",
        ),
    ),
    Difference(
        TIMEOUTS,
        "squawk",
        Right.DBOPT,
        "set_config() sets them as SET does.",
        ("require-timeout-settings: by set_config",),
    ),
    Difference(
        TIMEOUTS,
        "dbopt",
        Right.DBOPT,
        "0 switches a timeout off.",
        ("require-timeout-settings: switched off",),
    ),
    Difference(
        TIMEOUTS[:1],
        "dbopt",
        Right.DBOPT,
        "RESET takes the timeout back before the statement that needs it.",
        ("require-timeout-settings: taken back",),
    ),
    Difference(
        (_INDEX,),
        "squawk",
        Right.DBOPT,
        "What this text has made is new to everybody, with or without a transaction, as a "
        "materialized view too, and t is public.t.",
        (
            f"{_INDEX}: on a new one, {_NEW}",
            f"{_INDEX}: on a new materialized view",
            f"{_INDEX}: a new table, with its schema once",
        ),
    ),
    Difference(
        (_INDEX,),
        "squawk",
        Right.DBOPT,
        "ON ONLY is how a partitioned table gets its index: it builds nothing, and PostgreSQL has "
        "no CONCURRENTLY for it.",
        (f"{_INDEX}: on the parent alone",),
    ),
    Difference(
        ("require-concurrent-reindex",),
        "dbopt",
        Right.DBOPT,
        "(CONCURRENTLY false) is not concurrent, and REINDEX SYSTEM never is.",
        (
            "require-concurrent-reindex: concurrently, but false",
            "require-concurrent-reindex: the system's",
        ),
    ),
    Difference(
        ("require-concurrent-partition-detach",),
        "squawk",
        Right.DBOPT,
        "Before PostgreSQL 14 there is no concurrent DETACH.",
        ("require-concurrent-partition-detach: before version 14",),
    ),
    Difference(
        ("ban-concurrent-index-creation-in-transaction",),
        "dbopt",
        Right.BOTH,
        "golang-migrate opens no transaction for a lone statement; most tools do, and it fails. "
        "--no-transaction is for those that do not.",
        ("ban-concurrent-index-creation-in-transaction: wrapped by the tool",),
    ),
    Difference(
        ("ban-uncommitted-transaction",),
        "squawk",
        Right.DBOPT,
        "The tool ends the transaction that is open at the end of the text.",
        ("ban-concurrent-index-creation-in-transaction: wrapped, but ended first",),
    ),
    Difference(
        ("ban-uncommitted-transaction",),
        "squawk",
        Right.BOTH,
        "A prepared transaction keeps its locks until COMMIT PREPARED; dbopt takes it that a "
        "transaction manager sends that.",
        ("ban-uncommitted-transaction: prepared",),
    ),
    Difference(
        ("ban-uncommitted-transaction",),
        "dbopt",
        Right.DBOPT,
        "ROLLBACK TO a savepoint ends no transaction.",
        ("ban-uncommitted-transaction: to a savepoint alone",),
    ),
    Difference(
        ("transaction-nesting",),
        "squawk",
        Right.DBOPT,
        "ROLLBACK TO a savepoint ends no transaction: the COMMIT does.",
        ("transaction-nesting: a savepoint",),
    ),
    Difference(
        ("transaction-nesting",),
        "squawk",
        Right.BOTH,
        "A text that begins with BEGIN is taken to open its own transaction, as what Django's "
        "sqlmigrate and `alembic upgrade --sql` print; unless it is of a tool that opens one.",
        ("transaction-nesting: in the tool's",),
    ),
    Difference(
        ("constraint-missing-not-valid",),
        "squawk",
        Right.BOTH,
        "Of a foreign key squawk says it twice; dbopt with adding-foreign-key-constraint alone.",
        (
            "constraint-missing-not-valid: a foreign key",
            "adding-foreign-key-constraint: added",
        ),
    ),
    Difference(
        ("constraint-missing-not-valid",),
        "squawk",
        Right.DBOPT,
        "UNIQUE, PRIMARY KEY and EXCLUDE take no NOT VALID. dbopt has rules of their own for them: "
        "disallowed-unique-constraint, adding-serial-primary-key-field, "
        "adding-exclusion-constraint.",
        (
            "disallowed-unique-constraint: added",
            "disallowed-unique-constraint: without a name",
            "adding-serial-primary-key-field: a constraint",
            "adding-serial-primary-key-field: a named constraint",
            "constraint-missing-not-valid: an exclusion",
        ),
    ),
    Difference(
        ("constraint-missing-not-valid",),
        "squawk",
        Right.DBOPT,
        "The table is new: it has no rows to look at.",
        (
            f"constraint-missing-not-valid: on a new one, {_NEW}",
            "adding-foreign-key-constraint: a new table, not valid, then validated",
        ),
    ),
    Difference(
        ("constraint-missing-not-valid",),
        "dbopt",
        Right.DBOPT,
        "A CHECK that comes with its column reads the whole table too.",
        ("constraint-missing-not-valid: with a column",),
    ),
    Difference(
        ("adding-field-with-default",),
        "squawk",
        Right.DBOPT,
        "A virtual column is stored nowhere, -1 is a constant, and the table is new.",
        (
            "adding-field-with-default: generated and virtual",
            "adding-field-with-default: negative and true",
            "adding-field-with-default: on a new table",
        ),
    ),
    Difference(
        ("adding-field-with-default",),
        "squawk",
        Right.BOTH,
        "An identity rewrites the table: dbopt calls it adding-auto-increment-column.",
        ("adding-required-field: an identity",),
    ),
    Difference(
        ("adding-required-field", "adding-not-nullable-field", "changing-column-type"),
        "squawk",
        Right.DBOPT,
        "The table is new.",
        (
            "adding-required-field: on a new table",
            "adding-not-nullable-field: on a new table",
            "changing-column-type: of a new table",
        ),
    ),
    Difference(
        ("changing-column-type",),
        "squawk",
        Right.DBOPT,
        "PostgreSQL refuses it for a composite type that a column has, so no row is written.",
        ("changing-column-type: of a composite type",),
    ),
    Difference(
        ("prefer-robust-stmts",),
        "squawk",
        Right.DBOPT,
        "It says how the table shall be, and may say so twice.",
        (
            "adding-field-with-default: set afterwards",
            "adding-field-with-default: volatile, set afterwards",
            "changing-column-type: to text",
            "adding-not-nullable-field: plain",
            "adding-not-nullable-field: dropped",
            "changing-column-type: to bigint",
            "changing-column-type: to timestamptz",
            "changing-column-type: several",
            "prefer-robust-stmts: row security",
            "ban-drop-not-null: one",
            "ban-drop-generated-expression: one",
            "ban-alter-identity: one",
            "ban-alter-generated-expression: one",
            "ban-set-default: one",
            "ban-drop-default: one",
            "ban-disable-trigger: one",
            "ban-disable-trigger: enabled",
            "ban-replica-identity: nothing",
            "ban-replica-identity: full",
            "ban-alter-row-level-security: one",
            "prefer-text-field: changed to",
            "prefer-timestamp-tz: changed to",
        ),
    ),
    Difference(
        ("ban-drop-constraint",),
        "squawk",
        Right.DBOPT,
        "The text makes the constraint again.",
        (
            "prefer-robust-stmts: a constraint, dropped first",
            "disallowed-unique-constraint: the constraint is changed for one with a ready index",
        ),
    ),
    Difference(
        ("ban-disable-trigger",),
        "squawk",
        Right.DBOPT,
        "Nothing is switched off.",
        ("ban-disable-trigger: enabled", "ban-alter-row-level-security: one"),
    ),
    Difference(
        ("renaming-table", "ban-drop-table"),
        "squawk",
        Right.DBOPT,
        "The text itself has made it: nobody uses it yet.",
        ("renaming-table: a new one", "ban-drop-table: a temporary one of this text"),
    ),
    Difference(
        ("renaming-column",),
        "squawk",
        Right.BOTH,
        "Of a view, dbopt calls it renaming-object.",
        ("renaming-column: a view's",),
    ),
    Difference(
        ("renaming-object",),
        "dbopt",
        Right.BOTH,
        "squawk calls it renaming-column.",
        ("renaming-column: a view's",),
    ),
    Difference(
        ("require-table-schema",),
        "dbopt",
        Right.DBOPT,
        "The table of a CREATE INDEX is looked up in search_path as any other. (Off by default in "
        "both.)",
        (),
    ),
)

_FOR_ROLLBACKS = "off by default in squawk: what a rollback of the application may need"
LACKING: dict[str, str] = dict.fromkeys(
    (
        "ban-add-column",
        "ban-add-composite-attribute",
        "ban-add-enum-value",
        "ban-alter-database-options",
        "ban-alter-extension",
        "ban-alter-function-options",
        "ban-alter-generated-expression",
        "ban-alter-policy-condition",
        "ban-alter-policy-roles",
        "ban-alter-role-options",
        "ban-alter-row-level-security",
        "ban-alter-sequence-values",
        "ban-alter-system-options",
        "ban-alter-view-options",
        "ban-create-policy",
        "ban-detach-inheritance",
        "ban-drop-index",
        "ban-drop-policy",
        "ban-new-write-restriction",
        "ban-replace-view-function",
        "ban-replica-identity",
        "ban-revoke",
        "ban-set-default",
    ),
    _FOR_ROLLBACKS,
) | {
    "ban-alter-identity": "who may set an identity's value is the application's affair",
    "ban-drop-generated-expression": "the column stays, with its values",
}
"""squawk's rules that dbopt has not, and why."""
