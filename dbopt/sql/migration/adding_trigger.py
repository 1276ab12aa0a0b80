"""CREATE TRIGGER: writes wait for its lock, and pay for it ever after."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.model import CreateTrigger
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.locks import Mode, locks
from dbopt.sql.migration.support import Group, Match, Rule


def _check(subject: Subject) -> Iterator[Match]:
    does = subject.does
    if isinstance(does, CreateTrigger):
        tables = [str(lock.relation) for lock in locks(subject) if lock.mode >= Mode.SHARE]
        if tables:
            yield Match(subject, f"Writes to {' and '.join(tables)} wait behind its lock.")


RULE = Rule(
    name="adding-trigger",
    severity=Severity.INFO,
    group=Group.LOCKING,
    summary="A trigger is made on a table that is in use.",
    reason=(
        "CREATE TRIGGER needs a SHARE ROW EXCLUSIVE lock: it waits for all transactions that "
        "have written the table, and every write waits behind it."
    ),
    remedy=(
        "SET lock_timeout = '2s' first, and retry; in a transaction that locks no other table."
    ),
    fires=("CREATE TRIGGER touch BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch()"),
    passes=(
        "CREATE TABLE IF NOT EXISTS notes (id bigint);\n"
        "CREATE TRIGGER touch BEFORE UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION touch()"
    ),
    check=_check,
)
