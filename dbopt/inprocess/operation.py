"""What psycopg is about to do, read from the generator that its connection is given to wait on.

Every operation of a connection, whichever cursor class the application uses, is one call of
`Connection.wait` with a generator that has not begun: its name says what it is, and its arguments
hold cursor and query. So no cursor need be replaced, and one made by hand, `ClientCursor(conn)`,
is seen too. tests/integration/test_inprocess_statements.py fails if a psycopg does otherwise.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from psycopg import AsyncRawCursor, RawCursor, sql
from psycopg.raw_cursor import AsyncRawServerCursor, RawServerCursor

from dbopt.inprocess.route import commented

_RAW = (RawCursor, AsyncRawCursor, RawServerCursor, AsyncRawServerCursor)
_DECLARE = "DECLARE c CURSOR FOR "


class Kind(NamedTuple):
    """`query` names the argument that holds the query. `text` is that of a command without one."""

    name: str
    query: str = ""
    text: str = ""


EXECUTE = Kind("execute", "query")

KINDS: dict[str, Kind] = {
    "_execute_gen": EXECUTE,
    "_executemany_gen_pipeline": Kind("executemany", "query"),
    "_executemany_gen_no_pipeline": Kind("executemany", "query"),
    "_stream_send_gen": Kind("stream", "query"),
    "_start_copy_gen": Kind("copy", "statement"),
    "_declare_gen": Kind("declare", "query"),
    "_fetch_gen": Kind("fetch"),
    "_scroll_gen": Kind("scroll", text="MOVE 1 FROM c"),
    "_close_gen": Kind("close", text="CLOSE c"),
    "_commit_gen": Kind("commit", text="COMMIT"),
    "_rollback_gen": Kind("rollback", text="ROLLBACK"),
    "_enter_gen": Kind("enter"),
    "_exit_gen": Kind("exit"),
    "_tpc_begin_gen": Kind("execute", text="BEGIN"),
    "_tpc_prepare_gen": Kind("execute", text="PREPARE TRANSACTION 'x'"),
    "_tpc_finish_gen": Kind("tpc"),
}
"""Generators by name, so that one which a subclass overrides counts as well."""


def with_comment(gen: Any, kind: Kind, route: str) -> Any:
    """The same operation with the route's comment in its query: a generator made anew."""
    given = gen.gi_code.co_argcount + gen.gi_code.co_kwonlyargcount
    # The names of its arguments alone: what calls super() has a __class__, too.
    arguments = {name: gen.gi_frame.f_locals[name] for name in gen.gi_code.co_varnames[:given]}
    cursor, query = arguments.pop("self"), arguments[kind.query]
    percent = has_placeholders(kind, arguments.get("params"), cursor)
    arguments[kind.query] = commented(query, route, percent)
    made = getattr(cursor, gen.__name__)(**arguments)
    gen.close()  # only now: what goes wrong before must leave the application its own
    return made


def has_placeholders(kind: Kind, params: Any, cursor: Any) -> bool:
    """Whether psycopg reads `%s` and `%%` in it: not without parameters, nor in a raw query."""
    if isinstance(cursor, _RAW):
        return False
    return kind.name == "executemany" or params is not None


def text_of(query: Any, cursor: Any) -> str:
    """A query's text, of whatever type it is."""
    if isinstance(query, str):
        return query
    if isinstance(query, bytes):
        return query.decode("utf-8", "replace")
    if isinstance(query, sql.Composable):
        return query.as_string(cursor)
    # A template string: what stands between its interpolations, each of which is a parameter.
    strings = query.strings
    return "".join(
        f"{part}${number}" if number < len(strings) else part
        for number, part in enumerate(strings, 1)
    )


def declared(text: str) -> str:
    """What a server cursor's query counts as: whatever the cursor's name, it is one statement."""
    return _DECLARE + text


def ending_of(transaction: Any, error: BaseException | None) -> Kind:
    """How a `with conn.transaction()` block is about to end."""
    # Within an implicit transaction the outermost block is a savepoint, too.
    nested = not transaction._outer_transaction
    back = error is not None or transaction.force_rollback
    if nested:
        return Kind("exit", text="ROLLBACK TO s" if back else "RELEASE s")
    return Kind("rollback", text="ROLLBACK") if back else Kind("commit", text="COMMIT")


def finishing(connection: Any, action: str) -> Kind:
    """How a two-phase transaction is about to end: one that was not prepared ends as any other."""
    two = connection._tpc
    if two is not None and not two[1]:
        return Kind(action.lower(), text=action)
    return Kind("execute", text=f"{action} PREPARED 'x'")
