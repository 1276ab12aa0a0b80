"""What a text makes and names itself: new objects harm nobody, since nobody uses them yet."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from dbopt.sql.ddl.elements import Constraint, ConstraintKind, Name, Span
from dbopt.sql.ddl.model import (
    AddConstraint,
    Alter,
    Create,
    CreateDomain,
    CreateIndex,
    CreateTable,
    Node,
    OtherAction,
    Rename,
)

_SPACES = {
    **{kind: kind for kind in ("schema", "type", "trigger", "policy", "extension")},
    **dict.fromkeys(("function", "procedure", "routine", "aggregate"), "function"),
    "domain": "type",
}
"""Kinds of object that share no names with relations."""


class Made:
    """What a text makes, and with which of its statements: new objects harm nobody."""

    def __init__(self, known: Collection[str] = ()) -> None:
        self._numbers: dict[tuple[str, str], dict[str, int]] = {}
        self._given: dict[tuple[str, str], list[tuple[int, int | None]]] = {}
        for one in known:
            schema, _, name = one.rpartition(".")
            self._note("relation", Name(schema, name, Span(0, 0)), 0)

    def note(self, node: Node, number: int, transaction: int | None) -> None:
        """Takes notice of a statement."""
        for space, name in _names_given(node):
            self._given.setdefault((space, name), []).append((number, transaction))
        if isinstance(node, CreateTable):
            self._note("relation", node.table, number)
            for one in (*_sequences(node), *_indexes(node.table, node.constraints)):
                self._note("relation", one, number)
        elif isinstance(node, CreateIndex) and node.name is not None:
            self._note("relation", replace(node.name, schema=node.table.schema), number)
        elif isinstance(node, CreateDomain):
            self._note("type", node.name, number)
        elif isinstance(node, Create) and not node.or_replace:
            self._note(_SPACES.get(node.kind, "relation"), node.name, number)
        elif isinstance(node, Alter) and self.is_made(node.target, number, node.kind):
            self._follow(node, number)

    def is_made(self, name: Name, before: int, kind: str = "table") -> bool:
        """Whether an earlier statement than this number has made the object.

        A name without a schema may be that of any schema.
        """
        if name.schema == "pg_temp":
            return True
        schemas = self._numbers.get((_SPACES.get(kind, "relation"), name.name), {})
        wanted = (name.schema, "") if name.schema else tuple(schemas)
        return any(schemas.get(schema, before) < before for schema in wanted)

    def is_named(self, name: Name, kind: str, before: int) -> bool:
        """Whether an earlier statement has given something this name, whatever it was before."""
        given = self._given.get((_SPACES.get(kind, "relation"), name.name), [])
        return bool(given) and given[0][0] < before

    def comes_back(self, name: Name, kind: str, after: int, transaction: int | None) -> bool:
        """Whether a later statement of the same transaction gives something this name."""
        given = self._given.get((_SPACES.get(kind, "relation"), name.name), [])
        return transaction is not None and any(
            number > after and within == transaction for number, within in given[-1:]
        )

    def _follow(self, node: Alter, number: int) -> None:
        """The new name of what was made here is as new, and so are its constraints' indexes."""
        space = _SPACES.get(node.kind, "relation")
        for action in node.actions:
            if isinstance(action, AddConstraint):
                for one in _indexes(node.target, (action.constraint,)):
                    self._note("relation", one, number)
            if isinstance(action, OtherAction) and action.words == ("set", "schema"):
                self._note(space, Name(action.name, node.target.name, action.at), number)
            if isinstance(action, Rename) and not action.what:
                renamed = Name(node.target.schema, action.new, action.at)
                self._note(space, renamed, number)

    def _note(self, space: str, name: Name, number: int) -> None:
        self._numbers.setdefault((space, name.name), {}).setdefault(name.schema, number)


def _names_given(node: Node) -> Iterator[tuple[str, str]]:
    """The names that objects have from this statement on: created, replaced or renamed ones."""
    if isinstance(node, CreateTable):
        yield "relation", node.table.name
    elif isinstance(node, Create):
        yield _SPACES.get(node.kind, "relation"), node.name.name
    elif isinstance(node, Alter):
        for action in node.actions:
            if isinstance(action, Rename) and not action.what:
                yield _SPACES.get(node.kind, "relation"), action.new


def _sequences(table: CreateTable) -> Iterator[Name]:
    """The sequences that its numbered columns get, by the names that PostgreSQL gives them."""
    for column in table.columns:
        serial = column.type is not None and column.type.name.endswith("serial")
        if serial or column.has(ConstraintKind.IDENTITY):
            yield replace(table.table, name=f"{table.table.name}_{column.name}_seq")


def _indexes(table: Name, constraints: Iterable[Constraint]) -> Iterator[Name]:
    """The indexes of its constraints, by the names that these have or get."""
    for one in constraints:
        name = one.name
        if not name and one.kind is ConstraintKind.PRIMARY_KEY:
            name = f"{table.name}_pkey"
        if name:
            yield replace(table, name=name)
