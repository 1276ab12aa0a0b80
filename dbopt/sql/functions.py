"""Which functions a statement may call and still be read-only."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

_HARMLESS_VOLATILE = frozenset(
    [
        "clock_timestamp",
        "currval",
        "gen_random_uuid",
        "lastval",
        "pg_blocking_pids",
        "pg_database_size",
        "pg_indexes_size",
        "pg_is_in_recovery",
        "pg_relation_size",
        "pg_sleep",
        "pg_sleep_for",
        "pg_sleep_until",
        "pg_table_size",
        "pg_total_relation_size",
        "random",
        "random_normal",
        "timeofday",
        "uuidv4",
        "uuidv7",
    ]
)
"""They give another answer each time and change nothing, in the database or the session."""

# Written like a call and read by the grammar: no row of pg_proc has these names.
_SYNTAX = frozenset(
    [
        "cast",
        "coalesce",
        "collation",
        "exists",
        "extract",
        "greatest",
        "grouping",
        "json",
        "json_array",
        "json_arrayagg",
        "json_exists",
        "json_objectagg",
        "json_query",
        "json_scalar",
        "json_serialize",
        "json_table",
        "json_value",
        "least",
        "merge_action",
        "normalize",
        "nullif",
        "overlay",
        "position",
        "row",
        "substring",
        "treat",
        "trim",
        "unnest",
        "xmlconcat",
        "xmlelement",
        "xmlexists",
        "xmlforest",
        "xmlparse",
        "xmlpi",
        "xmlroot",
        "xmlserialize",
        "xmltable",
    ]
)


def is_harmless(schema: str, name: str) -> bool:
    """Whether a call of this function writes nothing, as far as its name can tell.

    Only PostgreSQL's own functions are known to: one of an extension, or of the application's,
    may do anything, so it is not harmless. Names are folded; `schema` is "" where none is named.
    """
    if schema not in {"", "pg_catalog"}:
        return False
    return name in _HARMLESS_VOLATILE or name in _SYNTAX or name in _catalog()


@cache
def _catalog() -> frozenset[str]:
    text = files("dbopt.sql").joinpath("harmless_functions.txt").read_text(encoding="utf-8")
    return frozenset(line for line in text.splitlines() if line and line[0] != "#")
