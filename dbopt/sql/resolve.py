"""Relations as the catalog has them: found through the search_path, views with what is below.

Source: PostgreSQL 18 documentation, 5.10.3 The Schema Search Path.
"""

from __future__ import annotations

from collections.abc import Iterable

from dbopt.sql.query import Relation
from dbopt.sql.relations import Found
from dbopt.sql.schema import Schema, SchemaRelation


def resolved(found: Found, schema: Schema | None) -> Found:
    """The relations that the names mean. One that the schema does not know stays as written.

    A view that is read or written stays too, beside its base tables: to write through a view
    writes one of these.
    """
    if schema is None:
        return found
    return Found(
        {relation for named in found.reads for relation in _meant(named, schema)},
        {relation for named in found.writes for relation in _meant(named, schema)},
    )


def known_views(relations: Iterable[Relation], schema: Schema | None) -> list[SchemaRelation]:
    """Those among some relations whose functions the schema tells, sorted."""
    if schema is None:
        return []
    found = [schema.find(relation) for relation in sorted(set(relations))]
    return [one for one in found if one is not None and one.functions]


def _meant(named: Relation, schema: Schema) -> list[Relation]:
    known = schema.find(named)
    return [named] if known is None else [known.relation, *known.reads]
