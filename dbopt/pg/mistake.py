"""Where the server says that a statement goes wrong. It is prepared, and never run.

Source: PostgreSQL's documentation, "PREPARE", and "Error and Notice Message Fields" (P).
"""

from __future__ import annotations

import re

import psycopg

from dbopt.errors import ServerLost
from dbopt.pg.connect import Connection
from dbopt.pg.refusal import translate
from dbopt.sql.mistake import Mistake
from dbopt.sql.parse import Statement

_NAME = "dbopt_mistake"
_WHAT = "Reading a statement"
_TIMEOUT = "2s"


def server_mistake(
    connection: Connection, statement: Statement, *, words: bool = False
) -> Mistake | None:
    """What the server refuses about a SELECT, INSERT, UPDATE, DELETE, MERGE or VALUES.

    None where it takes it. With `words` the reason is the server's own message, which may quote a
    constant; else it is the condition's name. Raises ServerLost.
    """
    before = f"PREPARE {_NAME} AS "
    start = statement.tokens[0].start
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(
                f"SELECT set_config('statement_timeout', '{_TIMEOUT}', true),"
                f" set_config('lock_timeout', '{_TIMEOUT}', true)".encode()
            )
            text = f"{before}{statement.text}".encode(connection.info.encoding)
            # In the extended protocol, so that the server refuses a text of several commands.
            connection.execute(text, binary=True)
    except UnicodeEncodeError:
        return Mistake(start, "this text cannot be sent in the session's encoding", certain=True)
    except psycopg.Error as error:
        refusal = translate(_WHAT, error)
        if isinstance(refusal, ServerLost):
            raise refusal from None
        place = int(error.diag.statement_position or 1) - 1 - len(before)
        return Mistake(start + max(0, place), _reason(error, words), certain=True)
    connection.execute(f"DEALLOCATE {_NAME}".encode())
    return None


def _reason(error: psycopg.Error, words: bool) -> str:
    if words and error.diag.message_primary:
        return error.diag.message_primary
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__).lower()
    return f"{name} ({error.sqlstate})"
