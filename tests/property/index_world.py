"""A database of indexes in memory: what each step of a plan does to it, as PostgreSQL documents."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from dbopt.migrate.names import new_name, old_name
from dbopt.migrate.plan import Action, Step, same_index
from dbopt.pg.catalog import Catalog, Index, Table
from dbopt.sql.indexdef import IndexDefinition

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class World:
    """Tables, and indexes by oid. It asserts what a server would refuse."""

    def __init__(self, tables: Iterable[Table], indexes: Iterable[Index] = ()) -> None:
        self.tables = tuple(tables)
        self.indexes = {index.oid: index for index in indexes}
        self._next = 10_000

    def __repr__(self) -> str:
        shown = (
            f"{i.name} on {i.definition.table} {i.definition.keys[0].expression}"
            f"{' unique' * i.definition.unique}{' invalid' * (not i.valid)}{i.constraint}"
            f"{' built' * (i.builder_pid is not None)}{f' of {i.parent}' if i.parent else ''}"
            for i in self.indexes.values()
        )
        return "; ".join(shown)

    def catalog(self) -> Catalog:
        return Catalog(
            tables=self.tables,
            indexes=tuple(sorted(self.indexes.values(), key=str)),
            foreign_keys=(),
            version=18,
            taken=NOW,
            stats_since=NOW,
        )

    def named(self, name: str) -> Index | None:
        return next((index for index in self.indexes.values() if index.name == name), None)

    def perform(self, steps: Iterable[Step]) -> None:
        for step in steps:
            self._step(step)

    def finish_builds(self, valid: bool) -> None:
        """Whoever builds ends: with a valid index, or leaving an invalid one."""
        for index in list(self.indexes.values()):
            if index.builder_pid is not None:
                self.indexes[index.oid] = replace(index, builder_pid=None, valid=valid)
        self._validate()

    def _step(self, step: Step) -> None:
        match step.action:
            case Action.CREATE:
                self._create(step.definition, step)
            case Action.REBUILD:
                self._rebuild(step)
            case Action.RENAME:
                self._rename_to(step)
            case Action.REPLACE:
                self._replace(step)
            case Action.ATTACH:
                assert step.existing is not None
                self._finish(step, step.existing.oid)
            case Action.DROP:
                assert step.existing is not None
                self._drop(step.existing.oid)
            case Action.PRESENT | Action.BUSY | Action.CONFLICT:
                pass

    def _create(self, definition: IndexDefinition, step: Step, parent: int | None = None) -> int:
        assert self.named(definition.name) is None, f"{definition.name} is taken"
        table = self._table(definition)
        self._next += 1
        oid = self._next
        self.indexes[oid] = Index(
            oid=oid,
            table_oid=table.oid,
            definition=definition,
            valid=not table.partitioned,
            partitioned=table.partitioned,
            sql=definition.create_sql(),
        )
        self._finish(step, oid)
        if parent is not None:
            self.indexes[oid] = replace(self.indexes[oid], parent=parent)
        self._validate()
        return oid

    def _finish(self, step: Step, oid: int) -> None:
        """The partitions' indexes, made and attached."""
        for part in step.partitions:
            self._part(part, oid)
        self._validate()

    def _part(self, part: Step, parent: int) -> None:
        if part.action is Action.CREATE:
            self._create(part.definition, part, parent)
            return
        if part.action is Action.BUSY or part.existing is None:
            return
        found = self.indexes[part.existing.oid]
        assert found.parent in {None, parent}
        if part.action is Action.REBUILD:
            found = replace(found, valid=True)
        self.indexes[found.oid] = replace(found, parent=parent)
        self._finish(part, found.oid)

    def _rebuild(self, step: Step) -> None:
        assert step.existing is not None
        self._drop(step.existing.oid)
        self._create(step.definition, step)

    def _rename_to(self, step: Step) -> None:
        assert step.existing is not None
        if step.holder is not None:
            self._rename(step.holder.oid, old_name(step.definition.name))
        self._rename(step.existing.oid, step.definition.name)

    def _replace(self, step: Step) -> None:
        assert step.existing is not None
        name = step.definition.name
        oid = step.ready.oid if step.ready else self._successor(step)
        waiting = self.named(old_name(name))
        if waiting is not None:
            self._drop(waiting.oid)
        self._rename(step.existing.oid, old_name(name))
        self._rename(oid, name)
        self._drop(step.existing.oid)

    def _successor(self, step: Step) -> int:
        name = new_name(step.definition.name)
        left = self.named(name)
        if left is not None and left.partitioned and same_index(left.definition, step.definition):
            self._finish(step, left.oid)
            return left.oid
        if left is not None:
            self._drop(left.oid)
        return self._create(replace(step.definition, name=name), step)

    def _rename(self, oid: int, name: str) -> None:
        assert self.named(name) is None, f"{name} is taken"
        index = self.indexes[oid]
        self.indexes[oid] = replace(index, definition=replace(index.definition, name=name))

    def _drop(self, oid: int) -> None:
        """And what is attached to it; one that is gone already is no error."""
        index = self.indexes.pop(oid, None)
        if index is None:
            return
        assert not index.constraint
        for child in [child for child in self.indexes.values() if child.parent == oid]:
            self._drop(child.oid)

    def _validate(self) -> None:
        """A partitioned index is valid once every partition has a valid one attached."""
        for table in sorted(self.tables, key=lambda table: -table.oid):  # children have higher oids
            children = sum(other.parent == table.oid for other in self.tables)
            for index in [i for i in self.indexes.values() if i.table_oid == table.oid]:
                if index.partitioned:
                    attached = [i for i in self.indexes.values() if i.parent == index.oid]
                    valid = sum(child.valid for child in attached) == children
                    self.indexes[index.oid] = replace(index, valid=index.valid or valid)

    def _table(self, definition: IndexDefinition) -> Table:
        return next(table for table in self.tables if table.name == definition.table)
