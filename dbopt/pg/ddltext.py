"""Index statements as text: what is run, shown and kept is the same.

Every name is quoted where it must be and has its schema, so that no search_path matters.
"""

from __future__ import annotations

from dbopt.sql.indexdef import IndexDefinition, quote_name


def create_text(definition: IndexDefinition) -> str:
    """CREATE INDEX CONCURRENTLY, without IF NOT EXISTS: that would pass an invalid one."""
    return definition.create_sql(concurrently=True)


def create_only_text(definition: IndexDefinition) -> str:
    """CREATE INDEX … ON ONLY: a partitioned table's, invalid until its partitions have theirs."""
    head = f"CREATE {'UNIQUE ' if definition.unique else ''}INDEX {quote_name(definition.name)} ON "
    whole = definition.create_sql(concurrently=False)
    return f"{head}ONLY {whole.removeprefix(head)}"


def drop_text(definition: IndexDefinition, *, concurrently: bool = True) -> str:
    """DROP INDEX [CONCURRENTLY] IF EXISTS."""
    how = "CONCURRENTLY " if concurrently else ""
    return f"DROP INDEX {how}IF EXISTS {_name(definition)}"


def reindex_text(definition: IndexDefinition) -> str:
    """REINDEX INDEX CONCURRENTLY: makes an invalid one valid, in its place."""
    return f"REINDEX INDEX CONCURRENTLY {_name(definition)}"


def rename_text(schema: str, *renames: tuple[str, str]) -> str:
    """ALTER INDEX … RENAME TO of each (from, to) pair, in one transaction where there are two."""
    texts = [
        f"ALTER INDEX {_qualified(schema, name)} RENAME TO {quote_name(to)}" for name, to in renames
    ]
    return texts[0] if len(texts) == 1 else "; ".join(["BEGIN", *texts, "COMMIT"])


def attach_text(parent: IndexDefinition, child: IndexDefinition) -> str:
    """ALTER INDEX … ATTACH PARTITION. It looks anew whether the parent is valid, if attached."""
    return f"ALTER INDEX {_name(parent)} ATTACH PARTITION {_name(child)}"


def analyze_text(definition: IndexDefinition) -> str:
    """ANALYZE the table: a new expression has no statistics until then."""
    return f"ANALYZE {_qualified(definition.schema, definition.table)}"


def _name(definition: IndexDefinition) -> str:
    return _qualified(definition.schema, definition.name)


def _qualified(schema: str, name: str) -> str:
    return f"{quote_name(schema)}.{quote_name(name)}" if schema else quote_name(name)
