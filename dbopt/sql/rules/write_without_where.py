"""UPDATE or DELETE without WHERE: every row, once and for all."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from dbopt.sql.findings import Severity
from dbopt.sql.query import Kind
from dbopt.sql.rules.support import Match, Rule
from dbopt.sql.script import Subject
from dbopt.sql.unqualified import is_unqualified


def _check(subject: Subject) -> Iterator[Match]:
    does = subject.judged.does
    if subject.tree is None or (does.kind is Kind.EXPLAIN and not does.writes):
        return
    for write in subject.tree.find_all(exp.Update, exp.Delete):
        if isinstance(write.parent, exp.When):
            continue  # MERGE says elsewhere which rows
        if is_unqualified([write]):
            bare = write.args.get("where") is None
            how = "without WHERE" if bare else "whose WHERE looks at no column"
            yield _match(subject, write, how)


def _match(subject: Subject, write: exp.Expr, how: str) -> Match:
    verb = "UPDATE" if isinstance(write, exp.Update) else "DELETE"
    table = write.this.name if isinstance(write.this, exp.Table) else ""
    remedy = ""
    if verb == "DELETE" and table and not _others(write):
        remedy = (
            "Add a WHERE. To empty the table, TRUNCATE is faster and leaves no dead rows; "
            "it takes an ACCESS EXCLUSIVE lock, and fires no row triggers."
        )
    does = "changes" if verb == "UPDATE" else "deletes"
    message = f"{verb} {how} {does} every row of {table or 'its table'}."
    return Match(subject, message, write, remedy=remedy, evidence={"table": table})


def _others(write: exp.Expr) -> bool:
    return bool(write.args.get("using") or write.args.get("returning"))


RULE = Rule(
    name="write-without-where",
    severity=Severity.CRITICAL,
    summary="UPDATE or DELETE of a whole table.",
    reason=(
        "It locks and writes every row. An UPDATE leaves a dead version of each, so that the table "
        "and its indexes can double in size; all of it goes through WAL to the replicas, and other "
        "writers wait until it commits. More often than not the WHERE was forgotten."
    ),
    remedy="Add a WHERE. If every row is meant, write in batches by key.",
    fires="DELETE FROM sessions",
    passes="DELETE FROM sessions WHERE seen < now() - interval '90 days'",
    check=_check,
)
