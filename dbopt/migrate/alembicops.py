"""`op.create_index_safely` and `op.drop_index_safely`, for any application's Alembic revisions.

Importing this module registers them. Each stands in an autocommit block, or enters one: what came
before is committed. It works on a direct session of its own that holds the migration lock, as
`dbopt index apply` does: concurrently, resumably, by meaning. Offline (`--sql`) they print the
statements.

Source: Alembic's documentation, "Operation Plugins".
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any, ClassVar

from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import MigrateOperation, Operations
from alembic.operations.ops import CreateIndexOp, OpContainer
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.schema import CreateIndex
from sqlalchemy.types import NullType

from dbopt.errors import DeclarationError
from dbopt.migrate import alembicblock  # noqa: F401 - blocks may stand in blocks from now on
from dbopt.migrate.alembicdo import create, drop, offline_create, offline_drop
from dbopt.migrate.alembicsession import commanded, one_at_a_time
from dbopt.migrate.alembictext import call, comment
from dbopt.sql.indexdef import IndexDefinition, parse_index

__all__ = ["CreateIndexSafelyOp", "DropIndexSafelyOp", "one_at_a_time"]

IMPORT = "import dbopt.migrate.alembicops  # noqa: F401 - registers op.create_index_safely"
"""What a revision that uses the operations imports."""

_OURS = frozenset({"postgresql_concurrently", "if_not_exists"})
"""Options of op.create_index that say what these operations do anyway."""


class _IndexOp(MigrateOperation):
    """What both have: the index, and lines of comment for whoever reads the revision."""

    diff: ClassVar[str]

    def __init__(self, definition: IndexDefinition, notes: Sequence[str] = ()) -> None:
        self.definition = definition
        self.notes = tuple(notes)

    @property
    def index_name(self) -> str:
        """The index's name."""
        return self.definition.name

    @property
    def table_name(self) -> str:
        """The name of its table, without the schema."""
        return self.definition.table

    @property
    def schema(self) -> str | None:
        """The schema of both; None where it is the search path's."""
        return self.definition.schema or None

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """What `alembic check` prints."""
        return (self.diff, str(self.index_name), self.definition.create_sql(concurrently=False))


@Operations.register_operation("create_index_safely")
class CreateIndexSafelyOp(_IndexOp):
    """The index is to be there and valid, under its name and with its meaning.

    `before`, in a comparison, is what has the name, or the meaning, until now: to go back is to
    make that one again.
    """

    diff = "create_index_safely"

    def __init__(
        self,
        definition: IndexDefinition,
        notes: Sequence[str] = (),
        before: IndexDefinition | None = None,
    ) -> None:
        super().__init__(definition, notes)
        self.before = before

    @classmethod
    def create_index_safely(
        cls,
        operations: Operations,
        index: str,
        table_name: str | None = None,
        columns: Sequence[Any] | None = None,
        *,
        schema: str | None = None,
        unique: bool = False,
        **kw: Any,
    ) -> None:
        """Build an index concurrently, so that nobody who reads or writes waits for it.

        `index` is a whole CREATE INDEX statement, or a name that is followed by what
        op.create_index takes. What is there already and valid is kept; what has the meaning under
        another name is renamed; what has the name and another meaning is replaced.
        """
        context = operations.migration_context
        with commanded():
            definition = read(context, index, table_name, columns, schema, unique, kw)
        operations.invoke(cls(definition))

    def reverse(self) -> _IndexOp:
        """What undoes it."""
        if self.before is not None:
            return CreateIndexSafelyOp(self.before, before=self.definition)
        return DropIndexSafelyOp(self.definition)


@Operations.register_operation("drop_index_safely")
class DropIndexSafelyOp(_IndexOp):
    """The index is to be gone. Of a definition that holds no keys the name and table count."""

    diff = "drop_index_safely"

    @classmethod
    def drop_index_safely(
        cls,
        operations: Operations,
        index: str,
        table_name: str | None = None,
        *,
        schema: str | None = None,
        **kw: Any,
    ) -> None:
        """Drop an index concurrently; one that is not there is no error.

        `index` is a name, or a whole CREATE INDEX statement: then only that index is dropped, not
        one of the name that is another by now. Other options of op.drop_index are accepted.
        """
        context = operations.migration_context
        with commanded():
            definition = (
                read(context, index, None, None, None, False, {})
                if " " in index.strip()
                else IndexDefinition(index, _schema(context, schema), table_name or "", "", ())
            )
        operations.invoke(cls(definition))

    def reverse(self) -> CreateIndexSafelyOp:
        """What undoes it."""
        return CreateIndexSafelyOp(self.definition)


def read(
    context: MigrationContext,
    index: str,
    table_name: str | None,
    columns: Sequence[Any] | None,
    schema: str | None,
    unique: bool,
    options: dict[str, Any],
) -> IndexDefinition:
    """The definition that the arguments of op.create_index_safely say. Raises DeclarationError."""
    if table_name is None or columns is None:
        found = parse_index(index)
    else:
        found = parse_index(
            _sql(index, table_name, columns, _schema(context, schema), unique, options)
        )
    if not found.name:
        raise DeclarationError(
            f"An index on {found.table} has no name.", hint="Name it, so that it can be found."
        )
    return found


def _sql(
    name: str,
    table: str,
    columns: Sequence[Any],
    schema: str,
    unique: bool,
    options: dict[str, Any],
) -> str:
    """The CREATE INDEX statement that op.create_index would send."""
    kept = {key: value for key, value in options.items() if key not in _OURS}
    operation = CreateIndexOp(name, table, columns, schema=schema or None, unique=unique, **kept)
    made = operation.to_index()
    for column in kept.get("postgresql_include") or ():
        if isinstance(column, str) and made.table is not None and column not in made.table.c:
            made.table.append_column(Column(column, NullType()))
    # A paramstyle with % would double each one in an expression.
    dialect = PGDialect(paramstyle="named")  # type: ignore[no-untyped-call]
    return str(CreateIndex(made).compile(dialect=dialect))


def _schema(context: MigrationContext, schema: str | None) -> str:
    """As SQLAlchemy's schema_translate_map has it, in environments of several tenants."""
    link = context.connection
    options = link.get_execution_options() if link is not None and not context.as_sql else {}
    translated = options.get("schema_translate_map", {}).get(schema, schema)
    return translated or ""


@Operations.implementation_for(CreateIndexSafelyOp)
def _create(operations: Operations, operation: CreateIndexSafelyOp) -> None:
    context = operations.migration_context
    with commanded():
        if context.as_sql:
            offline_create(context, operation.definition)
        else:
            create(context, operation.definition)


@Operations.implementation_for(DropIndexSafelyOp)
def _drop(operations: Operations, operation: DropIndexSafelyOp) -> None:
    context = operations.migration_context
    with commanded():
        if context.as_sql:
            offline_drop(context, operation.definition)
        else:
            drop(context, operation.definition)


class AutocommitBlock(OpContainer):
    """Operations side by side, as a revision has them: in one autocommit block."""

    def reverse(self) -> AutocommitBlock:
        """What undoes them, the last one first."""
        return AutocommitBlock([operation.reverse() for operation in reversed(self.ops)])


@renderers.dispatch_for(AutocommitBlock)
def _render_block(context: AutogenContext, block: AutocommitBlock) -> list[str]:
    context.imports.add(IMPORT)
    # As one text: line by line Alembic would take comments and blank lines for the block's end.
    return [source(block, _prefix(context))] if block.ops else []


@renderers.dispatch_for(CreateIndexSafelyOp)
@renderers.dispatch_for(DropIndexSafelyOp)
def _render(context: AutogenContext, operation: _IndexOp) -> list[str]:
    context.imports.add(IMPORT)
    return [_call(operation, _prefix(context))]


def _prefix(context: AutogenContext) -> str:
    return context.opts.get("alembic_module_prefix") or "op."


def source(block: AutocommitBlock, prefix: str = "op.") -> str:
    """The block as a revision's source, each operation's notes before it as comments."""
    calls = [_call(one, prefix) for one in block.ops if isinstance(one, _IndexOp)]
    inside = textwrap.indent("\n".join(calls), "    ")
    return f"with {prefix}get_context().autocommit_block():\n{inside}"


def _call(operation: _IndexOp, prefix: str) -> str:
    definition = operation.definition
    function = f"{prefix}{operation.diff}"
    notes = [line for note in operation.notes for line in comment(note)]
    if isinstance(operation, CreateIndexSafelyOp):
        return "\n".join([*notes, call(function, definition.create_sql(concurrently=False))])
    schema = {"schema": definition.schema} if definition.schema else {}
    return "\n".join([*notes, call(function, definition.name, definition.table, **schema)])
