r"""DO, CALL, EXECUTE and `\i`: what they run cannot be looked at."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.model import Block
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule


def _check(subject: Subject) -> Iterator[Match]:
    does = subject.does
    if isinstance(does, Block) and not does.examined:
        command = does.command if does.command[0] == "\\" else does.command.upper()
        yield Match(subject, f"What {command} runs has not been looked at.", examined=False)


RULE = Rule(
    name="unexamined-block",
    severity=Severity.INFO,
    group=Group.ROBUSTNESS,
    summary="Code runs that no rule can look at.",
    reason=(
        "A procedure, a string that EXECUTE puts together, or a file that psql's \\i includes may "
        "be any statement, with any lock. The statements of a DO block in PL/pgSQL are looked at, "
        "and those of a function that the same text makes and calls."
    ),
    remedy=(
        "Write the statements themselves where it is possible, and lint an included file by its "
        "name; else look at the locks yourself, and say so with a marker."
    ),
    fires="DO $$ BEGIN EXECUTE format('DROP TABLE %I', 'users'); END $$",
    passes="DO $$ BEGIN ANALYZE users; END $$",
    check=_check,
)
