"""A plan as SQL that psql runs: what `dbopt index apply` would run, statement by statement. PURE.

An apply looks again before each step; a script cannot. So it is good for as long as nobody else
changes these indexes, and ends at the first error. It holds the migration lock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from dbopt.migrate.lock import KEY
from dbopt.migrate.names import leaf_name, new_name, old_name
from dbopt.migrate.parts import parts
from dbopt.migrate.steps import Action, Step, same_index
from dbopt.pg import ddltext
from dbopt.pg.catalog import Catalog, Index, Table
from dbopt.pg.shown import printable
from dbopt.settings import Migrate
from dbopt.sql.indexdef import IndexDefinition

_HEAD = f"""\
-- Run it with psql, on the server itself (no pooler), not in one transaction:
--   psql -X -f FILE
-- Where nothing else is said a statement takes SHARE UPDATE EXCLUSIVE: no reader or writer waits.
\\set ON_ERROR_STOP on
SELECT pg_try_advisory_lock({KEY}) AS alone \\gset
\\if :alone
\\else
  \\warn Another migration is at work: nothing was done.
  \\quit
\\endif
"""
_TAIL = f"""
RESET lock_timeout;
RESET statement_timeout;
SELECT pg_advisory_unlock({KEY}) \\gset
"""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. A patient one makes nobody wait, and may wait itself until build_timeout;
    any other waits for its lock no longer than migrate.lock_timeout."""

    sql: str
    patient: bool = True


@dataclass(frozen=True, slots=True)
class Part:
    """The statements of one step; none where there is nothing to run."""

    step: Step
    statements: tuple[Statement, ...]


def statements(steps: Sequence[Step], catalog: Catalog) -> list[Part]:
    """What each step runs, in their order. `catalog` is the one that they were planned with."""
    writer = _Writer(catalog)
    return [Part(step, tuple(writer.of(step))) for step in steps]


def script(
    written: Iterable[Part],
    settings: Migrate,
    notes: Mapping[int, str] | None = None,
    *,
    search_path: str = "",
    version: int = 18,
) -> str:
    """The whole as one text. `notes` are words for the steps' comments, by their place.

    `search_path` is the session's that the plan was made in: expressions are written for it.
    `version` is the server's major one.
    """
    lines = [_HEAD]
    if search_path:
        lines.append(f"SELECT set_config('search_path', {_literal(search_path)}, false) \\gset")
    if version >= 17:
        lines.append("SET transaction_timeout = 0;")
    patient: bool | None = None
    for number, part in enumerate(written, 1):
        lines += ["", *_comments(number, part.step, (notes or {}).get(number - 1, ""))]
        for one in part.statements:
            if one.patient is not patient:
                lines += _timeouts(settings, one.patient)
                patient = one.patient
            lines.append(f"{one.sql};")
    return "\n".join(lines) + "\n" + _TAIL


def _timeouts(settings: Migrate, patient: bool) -> list[str]:
    lock = 0 if patient else round(settings.lock_timeout * 1000)
    most = min(round(settings.build_timeout * 1000), 2**31 - 1)
    return [f"SET lock_timeout = {lock}; SET statement_timeout = {most};"]


def _comments(number: int, step: Step, note: str) -> list[str]:
    where = f" ({step.where})" if step.where else ""
    head = f"{number}. {step.action.value} {step.definition.schema}.{step.definition.name}{where}"
    words = [head, step.reason, note]
    # A name may hold a line break: what follows it would be run.
    return [f"-- {printable(word)}" for word in words if word]


def _literal(text: str) -> str:
    doubled = text.replace("'", "''")
    return f"'{doubled}'" if "\\" not in text else "E'" + doubled.replace("\\", "\\\\") + "'"


class _Writer:
    """Writes step after step, and minds who has which name by then."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._names = {index.oid: index.name for index in catalog.indexes}
        self._gone: set[int] = set()

    def of(self, step: Step) -> Iterator[Statement]:
        """The statements of a step."""
        if step.action in (Action.RENAME, Action.REPLACE) or step.holder is not None:
            yield from self._take_name(step)
        elif step.action is Action.DROP:
            if step.existing is not None:
                yield from self._drop(step.existing)
        elif step.action in (Action.CREATE, Action.REBUILD, Action.ATTACH):
            yield from self._make(step.definition, step.existing)

    def _make(self, wanted: IndexDefinition, index: Index | None) -> Iterator[Statement]:
        """Make sure that the index is there and valid."""
        table = self._catalog.tables_by_name.get((wanted.schema, wanted.table))
        if table is not None and table.partitioned:
            yield from self._tree(wanted, index, table)
        else:
            yield from self._leaf(wanted, index)
            if not all(key.is_column for key in wanted.keys):
                yield Statement(ddltext.analyze_text(wanted))

    def _leaf(self, wanted: IndexDefinition, index: Index | None) -> Iterator[Statement]:
        if index is not None and index.parent is not None:
            yield Statement(ddltext.reindex_text(wanted))
            return
        if index is not None:
            yield from self._drop(index)
        yield Statement(ddltext.create_text(wanted))

    def _tree(
        self, wanted: IndexDefinition, index: Index | None, table: Table
    ) -> Iterator[Statement]:
        if index is None:
            yield Statement(ddltext.create_only_text(wanted), patient=False)
        yield from self._below(wanted, parts(wanted, index, table, self._catalog))

    def _below(self, parent: IndexDefinition, steps: Sequence[Step]) -> Iterator[Statement]:
        todo = [step for step in steps if step.action is not Action.PRESENT]
        for step in todo:
            own = step.definition
            table = self._catalog.tables_by_name[own.schema, own.table]
            if table.partitioned:
                if step.action is Action.CREATE:
                    yield Statement(ddltext.create_only_text(own), patient=False)
                yield from self._below(own, step.partitions)
            elif step.action is not Action.ATTACH:
                yield from self._leaf(own, step.existing)
            yield Statement(ddltext.attach_text(parent, own), patient=False)
        if steps and not todo:
            # All are attached and valid: to attach one again makes the server look again.
            yield Statement(ddltext.attach_text(parent, steps[0].definition), patient=False)

    def _take_name(self, step: Step) -> Iterator[Statement]:
        """Build what there is to build, then change names in one transaction, then drop."""
        wanted = step.definition
        source = step.existing if step.action is Action.RENAME else step.ready
        name = new_name(wanted.name)
        if source is not None:
            name = self._names[source.oid]
        else:
            left = self._there(wanted.schema, name)
            if left is not None and not same_index(left.definition, wanted):
                yield from self._drop(left)  # a killed run's, of what was declared then
                left = None
            yield from self._make(replace(wanted, name=name), left)
        holder = step.existing if step.action is Action.REPLACE else step.holder
        renames = [(name, wanted.name)]
        if holder is not None:
            aside = old_name(wanted.name)
            if (left := self._there(wanted.schema, aside)) is not None:
                yield from self._drop(left)
            renames.insert(0, (self._names[holder.oid], aside))
            self._names[holder.oid] = aside
        yield Statement(ddltext.rename_text(wanted.schema, *renames), patient=False)
        if source is not None:
            self._names[source.oid] = wanted.name
        if step.action is Action.REPLACE and holder is not None:
            yield from self._drop(holder)

    def _drop(self, index: Index) -> Iterator[Statement]:
        if index.oid in self._gone:
            return
        self._gone.add(index.oid)
        gone = replace(index.definition, name=self._names[index.oid])
        text = ddltext.drop_text(gone, concurrently=not index.partitioned)
        yield Statement(text, patient=not index.partitioned)
        if index.partitioned:
            for one in self._unattached(index, index.table_oid):
                yield from self._drop(one)

    def _unattached(self, index: Index, table: int) -> Iterator[Index]:
        """What a killed run has built below the table and not attached."""
        for child in self._catalog.partitions.get(table, ()):
            found = self._there(child.schema, leaf_name(index.definition, child.name))
            if found is not None and found.parent is None and not found.protected:
                yield found
            yield from self._unattached(index, child.oid)

    def _there(self, schema: str, name: str) -> Index | None:
        """Who has that name by now."""
        return next(
            (
                index
                for index in self._catalog.indexes
                if self._names[index.oid] == name
                and index.definition.schema == schema
                and index.oid not in self._gone
            ),
            None,
        )
