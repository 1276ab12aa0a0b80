"""What is known of functions by their names: how volatile, and whether they write."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.resources import files

from dbopt.sql.callwords import VALUES
from dbopt.sql.schema import Schema

Harmless = Callable[[str, str], bool]
"""Whether a function (schema or "", name) writes nothing."""

_HARMLESS_VOLATILE = frozenset(
    """clock_timestamp currval gen_random_uuid lastval pg_blocking_pids pg_database_size
    pg_indexes_size pg_is_in_recovery pg_relation_size pg_sleep pg_sleep_for pg_sleep_until
    pg_table_size pg_total_relation_size random random_normal timeofday uuidv4 uuidv7
    """.split()  # noqa: SIM905 - shorter than a list
)
"""They give another answer each time and change nothing, in the database or the session."""
_WRITING = frozenset({"pg_current_xact_id", "txid_current"})
"""They are stable, and yet they assign a transaction id."""
_READING = ("_to_xml", "_to_xmlschema", "_to_xml_and_xmlschema")
"""So end the names of functions that read tables, or run a text, that no statement shows."""

_WORST = {"": 0, "i": 1, "s": 2, "v": 3}


def volatility(schema: str, name: str, known: Schema | None = None) -> str:
    """The worst volatility of a function's name as in pg_proc.provolatile; "" if it is unknown.

    Names are folded; `schema` is "" where none is named. A name without a schema may mean any
    function of the search_path that takes such arguments, so the worst of them counts.
    """
    own = known.volatility(schema, name) if known is not None else ""
    if schema not in {"", "pg_catalog"}:
        return own
    builtin = _own_volatility(name)
    if schema or known is None:
        return builtin
    everywhere = (known.functions.get((where, name), "") for where in known.path)
    return max([builtin, *everywhere], key=_WORST.__getitem__)


def is_harmless(schema: str, name: str, known: Schema | None = None) -> bool:
    """Whether a call of this function writes nothing, as far as its name can tell.

    Without a catalog only PostgreSQL's own are known to: one of an extension, or of the
    application's, may do anything. With one, a function that is declared stable or immutable is
    believed, as the planner believes it.
    """
    if schema in {"", "pg_catalog"} and _changes_unseen(name):
        return False
    worst = volatility(schema, name, known)
    if worst == "v" and schema in {"", "pg_catalog"} and name in _HARMLESS_VOLATILE:
        others = known is not None and not schema and known.volatility("", name) == "v"
        return not others
    return worst in {"i", "s"}


def _changes_unseen(name: str) -> bool:
    return name in _WRITING or (name.endswith(_READING) and name in volatilities())


def _own_volatility(name: str) -> str:
    return volatilities().get(name) or ("s" if name in VALUES else "")


@cache
def volatilities() -> dict[str, str]:
    """Name → worst volatility of PostgreSQL's own functions: "i", "s" or "v"."""
    text = files("dbopt.sql").joinpath("function_volatility.txt").read_text(encoding="utf-8")
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
