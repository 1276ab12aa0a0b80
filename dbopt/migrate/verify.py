"""What the planner makes of an index: which statements of pg_stat_statements would read it now.

Nothing is executed. Of a statement with parameters it is the generic plan; on a small table, or
before ANALYZE, the planner may well read the table instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dbopt import clock
from dbopt.errors import DboptError, UsageError
from dbopt.pg.connect import Connection
from dbopt.pg.explain import explain_sync
from dbopt.pg.plan import Plan
from dbopt.pg.refusal import translated
from dbopt.pg.sqlfile import statement
from dbopt.pg.workload import hides_statements, statements_naming
from dbopt.sql.fingerprint import fingerprint, fingerprint_hex
from dbopt.sql.indexdef import IndexDefinition
from dbopt.sql.redact import redact

MOST = 50
"""Statements looked at: those that take the most time."""
SECONDS = 2.0
"""For all of them."""
_LEAST = 0.05


@dataclass(frozen=True, slots=True)
class Use:
    """Of `statements` that read the index's table `used` would read the index, by fingerprint.

    `unseen` says what was not examined, "" where all was; without any statement examined that is
    no sign that nothing uses the index.
    """

    index: str
    statements: int = 0
    used: int = 0
    fingerprints: tuple[str, ...] = ()
    unseen: str = ""

    def __str__(self) -> str:
        if not self.statements:
            return f"{self.index}: {self.unseen or 'no statement that reads its table is known.'}"
        words = f"{self.index}: {self.used} of {self.statements} statements that read its table"
        return f"{words} would use it. {self.unseen}".rstrip()

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready types."""
        return {
            "index": self.index,
            "statements": self.statements,
            "used": self.used,
            "fingerprints": list(self.fingerprints),
            "unseen": self.unseen,
        }


def look(connection: Connection, definition: IndexDefinition, seconds: float = SECONDS) -> Use:
    """Ask the planner about each of the statements, for `seconds` at most.

    `connection` is in autocommit. Raises ServerLost; what else fails is in the answer.
    """
    deadline = clock.monotonic() + seconds
    try:
        family = _family(connection, definition)
        if not family:
            return Use(definition.name, unseen="Not examined: the index is not there.")
        texts, unseen = _texts(connection, definition)
    except UsageError as error:
        return Use(definition.name, unseen=f"Not examined: {error.message}")
    seen: list[str] = []
    used: list[str] = []
    for number, text in texts.items():
        left = deadline - clock.monotonic()
        if left < _LEAST:
            unseen = f"{unseen} Time for more of them was over after {seconds:g} s.".strip()
            break
        plan = _plan(connection, text, left)
        if plan is None or not _tables(plan) & family.keys():
            continue
        seen.append(number)
        if plan.indexes & set().union(*family.values()):
            used.append(number)
    return Use(definition.name, len(seen), len(used), tuple(used), unseen)


def uses(connection: Connection, definitions: list[IndexDefinition]) -> Iterator[Use]:
    """`look` for several, SECONDS in all."""
    deadline = clock.monotonic() + SECONDS
    for definition in definitions:
        yield look(connection, definition, max(0.0, deadline - clock.monotonic()))


def _family(connection: Connection, definition: IndexDefinition) -> dict[tuple[str, str], set[str]]:
    """The names of the index and of its partitions' by their table."""
    params = {"schema": definition.schema, "name": definition.name}
    with translated("Reading the index's partitions"):
        rows = connection.execute(statement("index_family"), params).fetchall()
    found: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        found.setdefault((row["schema"], row["table"]), set()).add(row["index"])
    return found


def _texts(connection: Connection, definition: IndexDefinition) -> tuple[dict[str, str], str]:
    """The statements that name the table, by fingerprint, and what was left out."""
    with translated("Reading this role's privileges"):
        role = connection.execute(statement("explain_role")).fetchone()
    # Planning runs immutable functions, with our rights: see explain.require_safe.
    own = bool(role and role["powerful"])
    rows = statements_naming(connection, definition.table, MOST, own=own)
    unseen = ""
    if own:
        unseen = "Not examined: statements of other roles, since this one is a superuser."
    elif hides_statements(connection):
        unseen = "Not examined: statements of other roles, which are hidden from this one."
    texts = {fingerprint_hex(fingerprint(redact(row["query"]))): row["query"] for row in rows}
    return texts, unseen


def _plan(connection: Connection, text: str, seconds: float) -> Plan | None:
    """The plan; None where it has none, as about a temporary table that is gone."""
    try:
        return explain_sync(connection, text, statement_timeout=seconds)
    except DboptError:
        if connection.broken:
            raise
        return None


def _tables(plan: Plan) -> set[tuple[str, str]]:
    """The tables that it reads: a ModifyTable writes, and what it reads is below it."""
    reading = (node.relation for node in plan.nodes if node.type != "ModifyTable")
    return {(relation.schema, relation.name) for relation in reading if relation is not None}
