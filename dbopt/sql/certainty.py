"""Whether the same statement gives the same answer again, and whether one may keep it; why not.

Deterministic: the same data, parameters and session give the same rows (in any order, where no
ORDER BY says one). Cacheable: the answer stays right for as long as none of the relations that it
reads is written, for everybody of the same user, search_path and settings (TimeZone, DateStyle and
the like) who gives the same parameters. Both only where it is certain; a doubt counts as a no.

Not seen: what a plain operator or a cast of an extension does, and that PostgreSQL reads the
strings 'now', 'today', 'tomorrow' and 'yesterday' as dates: see `names_a_day`.

Source: PostgreSQL 18 documentation, 36.7 Function Volatility Categories.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from sqlglot import exp

from dbopt.sql.calls import Call
from dbopt.sql.functions import volatility
from dbopt.sql.lexer import Lexeme, tokens
from dbopt.sql.query import Kind, Relation
from dbopt.sql.resolve import known_views
from dbopt.sql.schema import RelationKind, Schema

WRITING = frozenset(
    {Kind.INSERT, Kind.UPDATE, Kind.DELETE, Kind.MERGE, Kind.DDL, Kind.DCL, Kind.COPY}
)
_WHO = frozenset("current_user user session_user current_role system_user".split())  # noqa: SIM905
_WHEN = frozenset(
    """age clock_timestamp current_date current_time current_timestamp localtime localtimestamp now
    statement_timestamp timeofday transaction_timestamp""".split()  # noqa: SIM905
)
_SETTINGS = frozenset({"current_setting", "current_schema", "current_schemas", "current_catalog"})
_ORDERED = (
    exp.RowNumber,
    exp.FirstValue,
    exp.LastValue,
    exp.NthValue,
    exp.Lag,
    exp.Lead,
    exp.Ntile,
)
_COLLECTING = frozenset(
    "array_agg string_agg json_agg jsonb_agg json_object_agg jsonb_object_agg xmlagg".split()  # noqa: SIM905
)
_SPECIAL = ("now", "today", "tomorrow", "yesterday")
_SYSTEM = frozenset({"pg_catalog", "information_schema"})


class Doubt(NamedTuple):
    """Why an answer may not be kept, in plain words. `random`: nor is it deterministic."""

    because: str
    random: bool = False


UNREAD = Doubt("could not be parsed", random=True)


def names_a_day(text: str) -> bool:
    """Whether a constant of a text may mean the day on which it is read: 'today'::date."""
    strings = (token.text.lower() for token in tokens(text) if token.lexeme is Lexeme.STRING)
    return any(word in string for string in strings for word in _SPECIAL)


def doubts_of_calls(
    called: Iterable[Call], schema: Schema | None, within: str = ""
) -> Iterator[Doubt]:
    """What the functions make uncertain. `within` is the view that calls them."""
    for where, name in called:
        worst = volatility(where, name, schema)
        by = f"{within} calls" if within else "calls"
        if worst == "v":
            yield Doubt(f"{by} {name}(), which is volatile", random=True)
        elif worst == "":
            yield Doubt(f"{by} {name}(), whose volatility is not known", random=True)
        elif worst == "s":
            yield _of_stable(name, by)


def _of_stable(name: str, by: str) -> Doubt:
    if name in _WHO:
        return Doubt(f"depends on {name}")
    if name in _SETTINGS:
        return Doubt(f"{by} {name}(), which depends on the session's settings")
    return Doubt(f"{by} {name}(), which is stable", random=name in _WHEN)


def doubts_of_relations(reads: Sequence[Relation], schema: Schema | None) -> Iterator[Doubt]:
    """What the relations make uncertain, and what is not known of them."""
    for relation in reads:
        yield from _of_relation(relation, schema)
    for view in known_views(reads, schema):
        yield from doubts_of_calls(view.functions, schema, f"view {view.relation.name}")


def _of_relation(relation: Relation, schema: Schema | None) -> Iterator[Doubt]:
    known = schema.find(relation) if schema is not None else None
    if relation.schema.startswith("pg_temp"):
        yield Doubt(f"reads {relation}, a temporary table")
    elif relation.schema in _SYSTEM or (known is None and relation.name.startswith("pg_")):
        yield Doubt(f"reads {relation}, which is the system's own", random=True)
    elif known is None:
        yield Doubt(f"row-level security cannot be excluded: nothing is known of {relation}")
    elif known.kind is RelationKind.FOREIGN:
        yield Doubt(f"reads {relation}, a foreign table", random=True)
    elif known.kind is RelationKind.SEQUENCE:
        yield Doubt(f"reads {relation}, a sequence", random=True)
    elif known.row_security:
        yield Doubt(f"row-level security may hide rows of {relation}")


def doubts_of_tree(nodes: Iterable[exp.Expr]) -> Iterator[Doubt]:
    """What a query's own clauses make uncertain."""
    for node in nodes:
        if isinstance(node, exp.Lock):
            yield Doubt("locks rows")
        elif isinstance(node, exp.TableSample):
            yield Doubt("reads a sample", random=True)
        elif isinstance(node, exp.Select | exp.SetOperation | exp.Subquery | exp.Values):
            yield from _of_query(node)
        elif isinstance(node, exp.Window):
            if isinstance(node.this, _ORDERED) and not node.args.get("order"):
                yield Doubt("window function without ORDER BY", random=True)
        elif isinstance(node, exp.Func):
            yield from _of_function(node)


def _of_query(node: exp.Expr) -> Iterator[Doubt]:
    if node.args.get("order"):
        return
    limited = node.args.get("limit") or node.args.get("offset")
    if limited and not isinstance(node.parent, exp.Exists):
        yield Doubt("LIMIT without ORDER BY", random=True)
    distinct = node.args.get("distinct")
    if isinstance(distinct, exp.Distinct) and distinct.args.get("on"):
        yield Doubt("DISTINCT ON without ORDER BY", random=True)


def _of_function(node: exp.Func) -> Iterator[Doubt]:
    """An aggregate whose answer depends on the order of the rows."""
    name = _name(node)
    if name in _COLLECTING and node.find(exp.Order) is None:
        yield Doubt(f"{name}() without ORDER BY", random=True)


def _name(node: exp.Func) -> str:
    if isinstance(node, exp.Anonymous):
        return node.name.lower()
    if isinstance(node, exp.GroupConcat):
        return "string_agg"
    return "array_agg" if isinstance(node, exp.ArrayAgg) else node.sql_name().lower()
