"""A random database is migrated, and judged by what the server says, without dbopt's own reading.

The server's own text of each declared index is got on a database that has the tables alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
from psycopg.rows import class_row

from dbopt.errors import DeclarationError, MigrationRefused
from dbopt.migrate import run, script
from dbopt.migrate.declared import Declared, read_file
from dbopt.migrate.lockguard import direct_session
from dbopt.migrate.names import new_name, old_name
from dbopt.migrate.outcome import Applied
from dbopt.migrate.runoptions import Options
from dbopt.migrate.scene import Scene
from dbopt.migrate.steps import Action, Step
from dbopt.settings import Settings
from tests.fuzz.index_worlds import SCHEMAS, Declaration, World

Name = tuple[str, str]
Connection = psycopg.Connection[tuple[object, ...]]

_STORED = """
SELECT i.indexrelid::bigint AS oid, n.nspname AS schema, c.relname AS name, i.indisvalid AS valid,
       i.indisready AS ready, c.relkind = 'I' AS partitioned, i.indrelid::bigint AS table_oid,
       pg_get_indexdef(i.indexrelid) AS text, i.indisreplident AS replica_identity,
       i.indisclustered AS clustered,
       (SELECT h.inhparent::bigint FROM pg_inherits h WHERE h.inhrelid = i.indexrelid) AS parent,
       coalesce((SELECT string_agg(x.conname || pg_get_constraintdef(x.oid), ',' ORDER BY x.oid)
                   FROM pg_constraint x WHERE x.conindid = i.indexrelid), '') AS "constraint"
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = ANY (%s) ORDER BY 2, 3"""
_CONSTRAINTS = """
SELECT conrelid::regclass::text, conname, convalidated, pg_get_constraintdef(oid)
  FROM pg_constraint WHERE connamespace::regnamespace::text NOT LIKE 'pg%' ORDER BY 1, 2"""
_RELATIONS = """
SELECT n.nspname, c.relname,
       EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                  AND d.objid = c.oid AND d.deptype = 'e') AS is_extensions
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"""
_PARTITIONS = """
SELECT h.inhrelid::bigint FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid
 WHERE h.inhparent = %s AND c.relkind <> 'f'
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                      AND d.objid = c.oid AND d.deptype = 'e')"""


@dataclass(frozen=True, slots=True)
class Stored:
    """An index as the server has it; `constraint` has all that stand on it."""

    oid: int
    schema: str
    name: str
    valid: bool
    ready: bool
    partitioned: bool
    table_oid: int
    text: str
    replica_identity: bool
    clustered: bool
    parent: int | None
    constraint: str

    @property
    def key(self) -> Name:
        return (self.schema, self.name)

    @property
    def meaning(self) -> str:
        return _bare(unnamed(self.text))


class Trial:
    """`faults` are in words what went wrong, once `run` is through."""

    def __init__(
        self, world: World, own: Connection, oracle: Connection, dsn: str, directory: Path
    ) -> None:
        self._world = world
        self._own = own
        self._oracle = oracle
        self._directory = directory
        self._settings = _settings(dsn)
        self._expected: dict[Name, str | psycopg.Error] = {}
        self.faults: list[str] = []

    def run(self) -> list[str]:
        """Make the world, apply the declared indexes, judge; then apply once more."""
        for statement in self._world.schema:
            _try(self._own, statement)
            _try(self._oracle, statement)
        for statement in self._world.existing:
            _try(self._own, statement)
        self._expected = {one.key: self._answer(one) for one in self._world.declared}
        before, constraints = self._stored(), self._rows(_CONSTRAINTS)
        relations = {(row[0], row[1]): bool(row[2]) for row in self._rows(_RELATIONS)}
        fit = [one for one in self._world.declared if self._is_fit(one)]
        for one in self._world.declared:
            if one not in fit:
                self._is_refused(one)
        found = [declared for one in fit for declared in self._read(one)]
        self._apply(found, before, relations)
        if constraints != self._rows(_CONSTRAINTS):
            self.faults.append("constraints have changed")
        return self.faults

    def _apply(
        self, found: list[Declared], before: dict[int, Stored], relations: dict[Name, bool]
    ) -> None:
        steps = self._plan(found)
        applied = self._applied(found)
        after = self._stored()
        if applied is None:
            self.faults += [f"refused, with a step to do: {step}" for step in self._todo(steps)]
        else:
            self._judge_failures(applied)
        failed = {one.name for one in applied.failed} if applied else set()
        for step in self._plan(found):
            if applied is not None and step.definition.name not in failed:
                self._judge_step(step, before, after, relations)
        self._judge_old(found, before, after)
        self._judge_new(found, before, after)
        if applied is not None:
            again = self._applied(found)
            changed = again.changed if again else ()
            self.faults += [f"the second run: {one.action} {one.name}" for one in changed]
            if self._stored() != after:
                self.faults.append("the second run has changed indexes")
            # A run that finds more to do afterwards, or less, does other things than its plan says.
            done = sorted((one.table, one.name) for one in applied.changed)
            changing = (step.definition for step in steps if step.action is not Action.PRESENT)
            if not applied.failed and done == sorted((one.table, one.name) for one in changing):
                self._judge_script(found, after)

    def _judge_script(self, found: list[Declared], after: dict[int, Stored]) -> None:
        """The plan's SQL makes the same of the same database."""
        for statement in self._world.existing:
            _try(self._oracle, statement)
        oracle = _settings(self._oracle.info.dsn)
        with Scene(lambda: direct_session(oracle), found) as scene:
            steps = scene.plan()
            assert scene.catalog is not None
            written = script.statements(steps, scene.catalog)
        try:
            for part in written:
                for one in part.statements:
                    self._oracle.execute(one.sql)
        except psycopg.Error as error:
            self.faults.append(f"the script: {error}: {[one.sql for one in part.statements]}")
            return
        made = {(one.key, one.text, one.valid) for one in _stored(self._oracle).values()}
        self.faults += [f"the script or the run alone has made {key} {text} {valid}"
                        for key, text, valid in made.symmetric_difference(
                            (one.key, one.text, one.valid) for one in after.values())]  # fmt: skip

    # --- what dbopt does

    def _is_refused(self, one: Declaration) -> None:
        """What the server refuses on the bare tables dbopt refuses as well."""
        try:
            steps = self._plan(self._read(one))
        except (MigrationRefused, DeclarationError):
            return
        error = self._expected[one.key]
        # dbopt says where each partition's lies, so that it may be the database's own tablespace.
        tolerated = "default tablespace" in str(error)
        if not tolerated and any(step.action is not Action.CONFLICT for step in steps):
            self.faults.append(f"taken, but the server says {error}: {one.text}")

    def _read(self, one: Declaration) -> list[Declared]:
        file = self._directory / "one.sql"
        file.write_text(f"{one.text};\n", encoding="utf-8")
        return read_file(file)

    def _plan(self, found: list[Declared]) -> list[Step]:
        with Scene(lambda: direct_session(self._settings), found) as scene:
            return scene.plan()

    def _applied(self, found: list[Declared]) -> Applied | None:
        """None where the run has refused to begin."""
        try:
            return run.apply(self._settings, Options(found=found, record=False, verify=False))
        except MigrationRefused:
            return None

    # --- what the server says

    def _answer(self, one: Declaration) -> str | psycopg.Error:
        """The server's text of the index without its name, or its error."""
        made = _tried(self._oracle, one, one.name)
        if isinstance(made, psycopg.errors.DuplicateTable):
            made = _tried(self._oracle, one, "zzz")
        return made

    def _is_fit(self, one: Declaration) -> bool:
        answer = self._expected[one.key]
        return isinstance(answer, str | psycopg.errors.UniqueViolation)

    def _is_possible(self, name: Name) -> bool:
        return isinstance(self._expected.get(name), str)

    def _stored(self) -> dict[int, Stored]:
        return _stored(self._own)

    def _rows(self, query: str) -> list[tuple[str, ...]]:
        return self._own.execute(query).fetchall()  # type: ignore[return-value]

    # --- judgements

    def _todo(self, steps: list[Step]) -> list[str]:
        idle = {Action.PRESENT, Action.CONFLICT, Action.DROP}
        return [str(key) for step in steps if step.action not in idle
                and self._is_possible(key := _key(step))]  # fmt: skip

    def _judge_failures(self, applied: Applied) -> None:
        impossible = {key[1] for key in self._expected if not self._is_possible(key)}
        for one in applied.failed:
            explained = one.action is Action.CONFLICT or "was kept" in one.message
            if not explained and one.name not in impossible:
                self.faults.append(f"failed: {one.action} {one.name}: {one.message}")

    def _judge_step(
        self,
        step: Step,
        before: dict[int, Stored],
        after: dict[int, Stored],
        relations: dict[Name, bool],
    ) -> None:
        """A step that is planned after the run."""
        key = _key(step)
        if step.action is Action.PRESENT:
            self._judge_present(step, before, after)
        elif step.action is Action.CONFLICT:
            extensions = relations.get((key[0], step.definition.table), False)
            taken = key in relations or step.existing is not None
            if self._is_possible(key) and not (taken or extensions or "foreign" in step.reason):
                self.faults.append(f"conflict {key}: {step.reason}")
        elif step.action is Action.DROP or self._is_possible(key):
            self.faults.append(f"left to do: {step.action} {key} {step.reason}")

    def _judge_present(
        self, step: Step, before: dict[int, Stored], after: dict[int, Stored]
    ) -> None:
        key = _key(step)
        real = after.get(step.existing.oid) if step.existing else None
        expected = self._expected[key]
        if real is None or not (real.valid and real.ready):
            self.faults.append(f"said to be present: {key} {real} {step.reason}")
        elif not isinstance(expected, str):
            self.faults.append(f"present, but the server says {expected}: {real}")
        else:
            self._judge_text(step, real, expected, real.oid in before)
            # A constraint's, which serves another declaration as well, is not dbopt's to repair.
            if real.partitioned and not step.reason.startswith("as "):
                self._judge_tree(real, after)

    def _judge_text(self, step: Step, real: Stored, expected: str, existed: bool) -> None:
        text, expected = _ordered(unnamed(real.text)), _ordered(expected)
        same = _bare(text) == _bare(expected) if existed else text == expected
        if not same:
            self.faults.append(f"{_key(step)} is {real.text}, not {expected}")
        elif text != expected and not step.reason:
            self.faults.append(f"{_key(step)} lies elsewhere, untold: {real.text}, not {expected}")

    def _judge_tree(self, parent: Stored, after: dict[int, Stored]) -> None:
        for (table,) in self._own.execute(_PARTITIONS, [parent.table_oid]).fetchall():
            parts = [one for one in after.values()
                     if one.parent == parent.oid and one.table_oid == table]  # fmt: skip
            if [True] != [one.valid for one in parts]:
                self.faults.append(f"a partition of {parent.key} has {parts}")
            for one in parts:
                if one.partitioned:
                    self._judge_tree(one, after)

    def _judge_old(
        self, found: list[Declared], before: dict[int, Stored], after: dict[int, Stored]
    ) -> None:
        """Nothing that was there is lost, and nothing that something needs is touched."""
        ours = _names_of(found, self._world.declared)
        by_name = {one.key: one for one in after.values()}
        for old in before.values():
            new = after.get(old.oid)
            if new is not None:
                if _changed(old, new):
                    self.faults.append(f"changed: {old} {new}")
            elif old.key in ours:
                if old.constraint or old.replica_identity:
                    self.faults.append(f"lost what is needed: {old}")
            elif not _may_go(old, by_name.get(old.key), before, after):
                self.faults.append(f"lost: {old}")

    def _judge_new(
        self, found: list[Declared], before: dict[int, Stored], after: dict[int, Stored]
    ) -> None:
        known = {one.key for one in self._world.declared} | {one.key for one in before.values()}
        for new in after.values():
            if new.oid in before:
                continue
            if not new.valid and not new.partitioned:
                self.faults.append(f"new and invalid: {new}")
            if new.key not in known and not re.search(r"_[0-9a-f]{8}_idx$", new.name):
                self.faults.append(f"new and strange: {new}")


def unnamed(text: str) -> str:
    """The server's CREATE INDEX without the index's name."""
    return re.sub(r'INDEX ("(?:[^"]|"")*"|\S+) ON ', "INDEX ON ", text, count=1)


def _stored(connection: Connection) -> dict[int, Stored]:
    with connection.cursor(row_factory=class_row(Stored)) as cursor:
        return {one.oid: one for one in cursor.execute(_STORED, [list(SCHEMAS)])}


def _settings(dsn: str) -> Settings:
    base = Settings()
    return replace(
        base,
        server=replace(base.server, dsn=dsn),
        # The worlds of other workers are no load to spare.
        migrate=replace(base.migrate, lock_timeout=0.5, deadline=60.0, max_replication_lag=0,
                        max_lock_waiters=0, max_active=0),
    )  # fmt: skip


def _try(connection: Connection, statement: str) -> None:
    try:
        connection.execute(statement)
    except psycopg.Error:
        return  # a world is what could be made


def _tried(connection: Connection, one: Declaration, name: str) -> str | psycopg.Error:
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(one.create(name))
            query = "SELECT pg_get_indexdef(format('%%I.%%I', %s::text, %s::text)::regclass)"
            row = connection.execute(query, [one.place.schema, name]).fetchone()
    except psycopg.Error as error:
        return error
    return unnamed(str(row[0])) if row else ""


def _key(step: Step) -> Name:
    return (step.definition.schema, step.definition.name)


def _names_of(found: list[Declared], declared: Iterable[Declaration]) -> set[Name]:
    """The names that dbopt may use: the declared ones and those that it makes of them."""
    used = {one.definition.name for one in found}
    keys = {one.key for one in declared if one.name in used}
    return {(schema, of(name)) for schema, name in keys for of in (str, new_name, old_name)}


def _changed(old: Stored, new: Stored) -> bool:
    kept = (old.meaning, old.constraint, old.replica_identity, old.clustered)
    renamed = old.name != new.name and bool(old.constraint)
    now = (new.meaning, new.constraint, new.replica_identity, new.clustered)
    return kept != now or renamed or (old.valid and not new.valid)


def _may_go(
    old: Stored, named: Stored | None, before: dict[int, Stored], after: dict[int, Stored]
) -> bool:
    """Whether it was repaired, is a failed REINDEX's, or went with the one that it is a part of."""
    repaired = named is not None and named.meaning == old.meaning and not old.valid
    leftover = not old.valid and re.search("_cc(new|old)", old.name) is not None
    return repaired or leftover or (old.parent in before and old.parent not in after)


def _bare(text: str) -> str:
    """Without tablespace and storage parameters, which make no other index."""
    return re.sub(r" WITH \((?:[^()']|'[^']*')*\)", "", re.sub(r" TABLESPACE \S+", "", text))


def _ordered(text: str) -> str:
    """With its parameters by name, and the one cast that PostgreSQL moves when it reads itself."""
    text = re.sub(
        r" WITH \(((?:[^()']|'[^']*')*)\)",
        lambda found: f" WITH ({', '.join(sorted(found[1].split(', ')))})",
        text,
    )
    return text.replace(
        "ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[])",
        "ANY (ARRAY[('a'::character varying)::text, ('b'::character varying)::text])",
    )
