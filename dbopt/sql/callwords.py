"""Words that may stand before a parenthesis without being called.

Source: pg_get_keywords() of PostgreSQL 18, and its grammar (gram.y, func_name): no function is
called by a reserved word (catcode R) or by a name of a type and the like (C) without quotes, and
any other word may be one. EXTRACT is left out of them: it calls what depends on the time zone.
"""

from __future__ import annotations

RESERVED = frozenset(
    """all analyse analyze and any array as asc asymmetric both case cast check collate column
    constraint create current_catalog current_date current_role current_time current_timestamp
    current_user default deferrable desc distinct do else end except false fetch for foreign from
    grant group having in initially intersect into lateral leading limit localtime localtimestamp
    not null offset on only or order placing primary references returning select session_user some
    symmetric system_user table then to trailing true union unique user using variadic when where
    window with""".split()  # noqa: SIM905 - shorter than a list
)
COL_NAMES = frozenset(
    """between bigint bit boolean char character coalesce dec decimal exists float greatest
    grouping inout int integer interval json json_array json_arrayagg json_exists json_object
    json_objectagg json_query json_scalar json_serialize json_table json_value least merge_action
    national nchar none normalize nullif numeric out overlay position precision real row setof
    smallint substring time timestamp treat trim values varchar xmlattributes xmlconcat xmlelement
    xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize
    xmltable""".split()  # noqa: SIM905
)
VALUES = frozenset(
    """current_catalog current_date current_role current_schema current_time current_timestamp
    current_user localtime localtimestamp session_user system_user user""".split()  # noqa: SIM905
)
"""Functions that SQL calls without parentheses."""
GRAMMAR_AFTER = {
    "bernoulli": frozenset({"tablesample"}),
    "system": frozenset({"tablesample"}),
    "by": frozenset({"group", "order", "partition"}),
    "first": frozenset({"fetch"}),
    "next": frozenset({"fetch"}),
    "sets": frozenset({"grouping"}),
    "varying": frozenset({"bit", "char", "character", "nchar"}),
    "zone": frozenset({"time"}),
}
"""Words that are grammar after one of these."""
INFIX = frozenset({"ilike", "join"})
"""Between two operands they are grammar, and else functions."""
BEFORE_EXPRESSIONS = frozenset(
    """between by call content document escape first groups ilike key like next passing path range
    rows value version zone""".split()  # noqa: SIM905
)
"""Words that are not reserved and that an expression may follow."""
