"""BEGIN in a transaction, or COMMIT outside of one."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.model import Transaction
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import ENDS, Migration
from dbopt.sql.migration.support import Group, Match, Rule


def _check_migration(migration: Migration) -> Iterator[Match]:
    opened, by_tool = migration.assumed, migration.assumed
    for subject in migration.telling:
        does = subject.does
        if not isinstance(does, Transaction):
            continue
        if subject.within is not None:
            if does.command in ENDS and subject.nested:
                yield Match(subject, _FAILS)
        elif does.command == "begin":
            if opened:
                yield Match(subject, "A transaction is open already: this BEGIN begins nothing.")
            opened = True
        elif does.command in ENDS:
            if by_tool:
                yield Match(subject, "It ends the transaction that the migration tool has opened.")
            elif not opened:
                yield Match(subject, "No transaction is open: it ends nothing.")
            opened, by_tool = does.chain, False


_FAILS = "Code ends transactions only where none is around it: this one will fail (2D000)."

RULE = Rule(
    name="transaction-nesting",
    severity=Severity.WARNING,
    group=Group.ROBUSTNESS,
    summary="Transactions are nested, or ended where none is open.",
    reason=(
        "PostgreSQL has none inside another: a second BEGIN only warns (25001), and the first "
        "COMMIT ends all. So what was meant to be one unit is not, and COMMIT in a tool's "
        "transaction takes the tool's bookkeeping apart."
    ),
    remedy=(
        "One BEGIN and one COMMIT; SAVEPOINT for a part that may fail; none of them where the "
        "tool opens the transaction. A DO block that commits has to run outside of one."
    ),
    fires="BEGIN;\nBEGIN;\nUPDATE users SET seen = now() WHERE id = 1;\nCOMMIT",
    passes="BEGIN;\nSAVEPOINT a;\nUPDATE users SET seen = now() WHERE id = 1;\nCOMMIT",
    check_migration=_check_migration,
    squawk="transaction-nesting",
)
