"""EXPLAIN of one foreign statement, safely: one command, read only, limited, rolled back.

The extended protocol lets the server itself refuse a text of several commands: a parser of
ours could be deceived, the server's cannot. PREPARE goes first, since it takes nothing but
SELECT, INSERT, UPDATE, DELETE, MERGE and VALUES, and tells how many parameters there are.

Sources: PostgreSQL's documentation, "EXPLAIN", "PREPARE", "Extended Query" (protocol).
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import psycopg
from psycopg import errors

from dbopt.errors import DboptError, QueryFailed, UsageError
from dbopt.pg.connect import AsyncConnection, Connection, Row
from dbopt.pg.fetch import fetch
from dbopt.pg.plan import Plan, parse_plan
from dbopt.pg.refusal import translate, translated
from dbopt.pg.sqlfile import statement

STATEMENT_TIMEOUT = 5.0
LOCK_TIMEOUT = 0.5
MAX_TEXT = 1_000_000
"""Characters. Planning a longer statement costs more than its plan is worth."""

GENERIC_PLAN_SINCE = 160000
_NAME = "dbopt_explain"
_WHAT = "Explaining a statement"


@dataclass(frozen=True, slots=True)
class _Ask:
    """A command to send. `single`: by the extended protocol, so that it is one command.

    `holds`: once it has succeeded the session holds the prepared statement.
    """

    text: str
    single: bool = True
    holds: bool = False


_Dialogue = Generator[_Ask, list[Row], Plan]


async def explain(
    conn: AsyncConnection,
    sql: str,
    *,
    analyze: bool = False,
    statement_timeout: float = STATEMENT_TIMEOUT,
) -> Plan:
    """The plan of `sql`; where it has parameters ($1, …), the generic plan.

    Nothing is executed unless `analyze`, and then a statement that writes is refused. May be
    called inside a transaction: it sees that one's changes and leaves it as it was.
    `statement_timeout` is seconds. Raises UsageError when `sql` is not one statement that can be
    explained, QueryFailed when the server refuses it, ServerLost when the connection breaks.
    """
    dialogue, held = _dialogue(sql, conn.info.server_version, analyze, statement_timeout), False
    try:
        async with conn.transaction(force_rollback=True):
            step = _step(dialogue, None)
            while isinstance(step, _Ask):
                text = _encoded(step, conn.info.encoding)
                cursor = await conn.execute(text, binary=step.single)
                held = held or step.holds
                step = _step(dialogue, await cursor.fetchall() if cursor.description else [])
        return step
    except psycopg.Error as error:
        raise _refused(error) from None
    finally:
        # A prepared statement outlives the transaction that made it.
        if held and not conn.closed:
            await conn.execute(f"DEALLOCATE {_NAME}")


async def require_safe(conn: AsyncConnection, user: str) -> None:
    """Raise UsageError where `user` could use our EXPLAIN of its statement to act as us.

    The planner evaluates immutable functions, and whoever wrote one may run in it what our role
    may: with a superuser's, COPY TO PROGRAM, which a read-only transaction allows. SET ROLE is no
    help, since a function can reset it.
    """
    with translated(_WHAT):
        rows = await fetch(conn, "explain_role")
    if rows[0]["powerful"] and rows[0]["role"] != user:
        raise UsageError(
            "Statements of other roles are not explained by a superuser: their functions would "
            "run with its rights.",
            hint="Give server.dsn a role that has pg_monitor and SELECT on the tables alone.",
        )


def explain_sync(
    conn: Connection,
    sql: str,
    *,
    analyze: bool = False,
    statement_timeout: float = STATEMENT_TIMEOUT,
) -> Plan:
    """`explain`, without asyncio."""
    dialogue, held = _dialogue(sql, conn.info.server_version, analyze, statement_timeout), False
    try:
        with conn.transaction(force_rollback=True):
            step = _step(dialogue, None)
            while isinstance(step, _Ask):
                text = _encoded(step, conn.info.encoding)
                cursor = conn.execute(text, binary=step.single)
                held = held or step.holds
                step = _step(dialogue, cursor.fetchall() if cursor.description else [])
        return step
    except psycopg.Error as error:
        raise _refused(error) from None
    finally:
        if held and not conn.closed:
            conn.execute(f"DEALLOCATE {_NAME}")


def _dialogue(sql: str, version: int, analyze: bool, timeout: float) -> _Dialogue:
    """Yields what to send, is sent the rows, and returns the plan."""
    if "\0" in sql or len(sql) > MAX_TEXT:
        raise UsageError(f"A statement to explain has at most {MAX_TEXT} characters, and no NUL.")
    yield _Ask(_limits(timeout))
    yield _Ask(f"PREPARE {_NAME} AS {sql}", holds=True)
    rows = yield _Ask(statement("explain_parameters"))
    count = int(rows[0]["count"])
    if count and analyze:
        raise UsageError("A statement with parameters can be explained, but not run.")
    rows = yield _question(sql, version, count, analyze)
    return parse_plan(rows[0]["QUERY PLAN"])


def _limits(timeout: float) -> str:
    values = {
        "statement_timeout": f"{round(timeout * 1000)}ms",
        "lock_timeout": f"{round(LOCK_TIMEOUT * 1000)}ms",
        "transaction_read_only": "on",
        "plan_cache_mode": "force_generic_plan",
        # psycopg reads JSON as UTF-8 whatever the session's encoding is.
        "client_encoding": "UTF8",
    }
    calls = ", ".join(f"set_config('{key}', '{value}', true)" for key, value in values.items())
    return f"SELECT /* dbopt */ {calls}"


def _question(sql: str, version: int, parameters: int, analyze: bool) -> _Ask:
    if not parameters:
        options = "FORMAT JSON, VERBOSE, ANALYZE, BUFFERS" if analyze else "FORMAT JSON, VERBOSE"
        return _Ask(f"EXPLAIN /* dbopt */ ({options}) {sql}")
    if version >= GENERIC_PLAN_SINCE:
        # By the simple protocol: in the extended one its $1 would be ours to bind, and a bound
        # NULL would be planned as a constant. PREPARE has shown that it is one command.
        return _Ask(f"EXPLAIN /* dbopt */ (FORMAT JSON, VERBOSE, GENERIC_PLAN) {sql}", single=False)
    nulls = ", ".join(["NULL"] * parameters)
    return _Ask(f"EXPLAIN /* dbopt */ (FORMAT JSON, VERBOSE) EXECUTE {_NAME} ({nulls})")


def _step(dialogue: _Dialogue, rows: list[Row] | None) -> _Ask | Plan:
    try:
        return next(dialogue) if rows is None else dialogue.send(rows)
    except StopIteration as end:
        plan: Plan = end.value
        return plan
    except ValueError as error:
        raise QueryFailed(f"{_WHAT}: {error}.") from None


def _encoded(ask: _Ask, encoding: str) -> bytes:
    try:
        return ask.text.encode(encoding)
    except UnicodeEncodeError:
        raise UsageError(f"{_WHAT}: its text cannot be sent as {encoding}.") from None


def _refused(error: psycopg.Error) -> DboptError:
    if isinstance(error, errors.SyntaxError):
        return UsageError(
            "This is not one statement that can be explained.",
            hint="Give one SELECT, INSERT, UPDATE, DELETE, MERGE or VALUES.",
        )
    return translate(_WHAT, error)
