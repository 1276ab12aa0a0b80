"""Random databases: tables, what indexes they have by accident, and the ones that are declared."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from dbopt.migrate.names import NEW, OLD
from tests.fuzz import index_texts as texts
from tests.fuzz.index_texts import Body, quoted

SCHEMAS = ("public", "other", "Sch ema")
_TABLES = (
    "users", "Order", "select", "tab le", "events", "taéblü", "x" * 63, 'q"uote', "users_b_idx",
    "i1",
)  # fmt: skip
_FEW = ("i1", "i2", "i3")
_INDEXES = (
    *_FEW, "i4", "I Five", "select", "indéx", "y" * 63, "z" * 60 + "é", 'qu"ote', "users_b_idx",
    "users_pkey",
)  # fmt: skip
_LEFT = tuple(name + suffix for name in _FEW for suffix in (NEW, OLD, "_ccnew", "_ccold1"))
_KINDS = ("plain", "plain", "unlogged", "inherited", "matview", "partitioned", "partitioned",
          "partitioned")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """A table. `key` has the columns of its partition key, and of those above it."""

    schema: str
    name: str
    kind: str
    key: str = ""

    @property
    def sql(self) -> str:
        return f"{quoted(self.schema)}.{quoted(self.name)}"


@dataclass(frozen=True, slots=True)
class Declaration:
    """An index as a file declares it (`text`), and in parts."""

    place: Place
    name: str
    body: Body
    text: str

    @property
    def key(self) -> tuple[str, str]:
        return (self.place.schema, self.name)

    def create(self, name: str = "") -> str:
        return self.body.create(quoted(name or self.name), self.place.sql)


@dataclass
class World:
    """`tables` are made by the statements `schema`, then `existing` are run; each may fail.

    In a dense world a few indexes have a few names, so that they get in each other's way.
    """

    luck: random.Random
    tables: list[Place] = field(default_factory=list)
    schema: list[str] = field(default_factory=list)
    existing: list[str] = field(default_factory=list)
    declared: list[Declaration] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._names: set[tuple[str, str]] = set()
        self._made: list[tuple[Place, Body]] = []
        dense = self.luck.random() < 0.5
        for _ in range(self.luck.choice((1, 1, 2) if dense else (1, 2, 2, 3))):
            self._table()
        # Unique with the columns of every partition key.
        self._pool = [texts.body(self.luck, "a, big") for _ in range(4)] if dense else []
        for place in self.tables:
            for _ in range(self.luck.choice((2, 3, 4, 5) if dense else (0, 1, 1, 2, 3))):
                self._exists(place)
        self._oddities()
        for _ in range(self.luck.choice((1, 2, 3, 4, 5))):
            self._declare()
        if self._chance(0.3):
            self._twins()

    def _chance(self, share: float) -> bool:
        return self.luck.random() < share

    # --- tables

    def _place(self, kind: str, key: str = "") -> Place:
        while True:
            schema = self.luck.choice(("public", "public", "public", *SCHEMAS))
            place = Place(schema, self.luck.choice(_TABLES), kind, key)
            if (place.schema, place.name) not in self._names:
                self._names.add((place.schema, place.name))
                return place

    def _table(self) -> None:
        kind = self.luck.choice(_KINDS)
        if kind == "partitioned":
            self._partitioned()
        elif kind == "matview":
            base = self._plain("plain")
            view = self._place(kind)
            data = self.luck.choice(("", " WITH NO DATA"))
            self.schema.append(
                f"CREATE MATERIALIZED VIEW {view.sql} AS SELECT * FROM {base.sql}{data}"
            )
            self.tables.append(view)
        else:
            parent = self._plain(kind)
            if kind == "inherited":
                child = self._place("plain")
                self.schema.append(f"CREATE TABLE {child.sql} (x int) INHERITS ({parent.sql})")
                self.tables.append(child)

    def _plain(self, kind: str) -> Place:
        place = self._place(kind)
        unlogged = "UNLOGGED " * (kind == "unlogged")
        self.schema.append(f"CREATE {unlogged}TABLE {place.sql} ({self._columns()})")
        if self._chance(0.3):
            self.schema += [
                f"ALTER TABLE {place.sql} ADD zz int",
                f"ALTER TABLE {place.sql} DROP COLUMN zz",
            ]
        self.schema.append(f"INSERT INTO {place.sql} {texts.ROWS}")
        self.tables.append(place)
        return place

    def _columns(self, shuffled: float = 0.3) -> str:
        columns = list(texts.COLUMNS)
        if self._chance(shuffled):
            self.luck.shuffle(columns)
        return ", ".join(columns)

    def _partitioned(self) -> None:
        how, key = self.luck.choice(("range", "list", "hash")), self.luck.choice(("a", "big"))
        place = self._place("partitioned", key)
        self.schema.append(
            f"CREATE TABLE {place.sql} ({self._columns()}) PARTITION BY {how} ({key})"
        )
        self.tables.append(place)
        self._partitions(place, how, 0)
        if self._chance(0.9):
            self.schema.append(f"INSERT INTO {place.sql} {texts.ROWS}")

    def _partitions(self, parent: Place, how: str, depth: int) -> None:
        count = self.luck.choice((0, 1, 2) if depth else (0, 1, 2, 3))
        for number in range(count):
            last = number == count - 1 and self._chance(0.35)
            bound = "DEFAULT" if last and how != "hash" else _bound(how, number, count)
            self._partition(parent, bound, depth, number)

    def _partition(self, parent: Place, bound: str, depth: int, number: int) -> None:
        place = self._below(parent, f"_{depth}{number}")
        of = f"PARTITION OF {parent.sql} {'' if bound == 'DEFAULT' else 'FOR VALUES '}{bound}"
        dice = self.luck.random()
        if dice < 0.05:
            self.schema.append(f"CREATE FOREIGN TABLE {place.sql} {of} SERVER fs")
            return
        if dice < 0.3 and depth < 2:
            how, key = self.luck.choice(
                (("range", "a"), ("range", '"Weird Col"'), ("hash", "a"), ("hash", "b"))
            )
            self.schema.append(f"CREATE TABLE {place.sql} {of} PARTITION BY {how} ({key})")
            keys = place.key if key in place.key.split(", ") else f"{place.key}, {key}"
            below = Place(place.schema, place.name, "partitioned", keys)
            self.tables.append(below)
            self._partitions(below, how, depth + 1)
            return
        if dice < 0.5:  # with its columns in another order
            attach = of.replace(f"PARTITION OF {parent.sql}", "", 1)
            self.schema += [
                f"CREATE TABLE {place.sql} ({self._columns(1.0)})",
                f"ALTER TABLE {parent.sql} ATTACH PARTITION {place.sql} {attach}",
            ]
        else:
            self.schema.append(f"CREATE TABLE {place.sql} {of}")
        self.tables.append(place)

    def _below(self, parent: Place, suffix: str) -> Place:
        start = parent.name[:50] if self._chance(0.5) else self.luck.choice(("p", "P x"))
        schema = self.luck.choice((parent.schema, parent.schema, parent.schema, "other"))
        name = start + suffix
        while (schema, name) in self._names:
            name += "n"
        self._names.add((schema, name))
        return Place(schema, name, "leaf", parent.key)

    # --- indexes

    def _exists(self, place: Place) -> None:
        body = self.luck.choice(self._pool) if self._pool else texts.body(self.luck, place.key)
        self._made.append((place, body))
        name = self.luck.choice((*_FEW * 2, *_LEFT) if self._pool else (*_INDEXES, *_LEFT))
        if self._chance(0.75):
            self._index(place, body, name)
        elif place.kind != "matview":
            self._constraint(place, name)

    def _index(self, place: Place, body: Body, name: str) -> None:
        only = "ONLY " if place.kind == "partitioned" and self._chance(0.3) else ""
        self.existing.append(body.create(quoted(name), only + place.sql))
        if place.kind != "partitioned" and self._chance(0.2):
            ready = self.luck.choice(("", ", indisready = false"))
            self.existing.append(
                f"UPDATE pg_index SET indisvalid = false{ready}"
                f" WHERE indexrelid = '{quoted(place.schema)}.{quoted(name)}'::regclass"
                " AND NOT indisprimary AND NOT indisreplident"
            )
        if place.kind == "plain" and body.text.endswith("(a)") and self._chance(0.25):
            self.existing += [
                f"ALTER TABLE {place.sql} ALTER a SET NOT NULL",
                f"ALTER TABLE {place.sql} REPLICA IDENTITY USING INDEX {quoted(name)}",
            ]
        if self._chance(0.1):
            self.existing.append(f"ALTER TABLE {place.sql} CLUSTER ON {quoted(name)}")

    def _constraint(self, place: Place, name: str) -> None:
        key = ", ".join(dict.fromkeys(["a", *(place.key.split(", ") if place.key else ())]))
        what = self.luck.choice(
            (
                f"PRIMARY KEY ({key})",
                f"UNIQUE ({key})",
                f"UNIQUE ({key}) DEFERRABLE",
                "EXCLUDE USING gist (a WITH =)",
                f'UNIQUE ("Weird Col", {key}) INCLUDE (b)',
            )
        )
        self.existing.append(f"ALTER TABLE {place.sql} ADD CONSTRAINT {quoted(name)} {what}")
        if "(a)" in what and self._chance(0.3):
            fk = quoted(f"fk_{name[:20]}")
            self.existing.append(f"CREATE TABLE other.{fk} (x int REFERENCES {place.sql} (a))")

    def _oddities(self) -> None:
        if self._chance(0.3):
            kind, name = self.luck.choice(("VIEW", "SEQUENCE")), quoted(self.luck.choice(_INDEXES))
            self.existing.append(
                f"CREATE {kind} public.{name}{' AS SELECT 1' if kind == 'VIEW' else ''}"
            )
        if self._chance(0.2):
            table = self.luck.choice(self.tables)
            self.existing.append(f"ALTER EXTENSION citext ADD TABLE {table.sql}")
        if self._chance(0.3):
            self.existing.append(
                "UPDATE pg_index SET indisvalid = false WHERE indexrelid = (SELECT min(inhrelid)"
                " FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE relkind = 'i')"
            )

    def _twins(self) -> None:
        there, wanted = self.luck.sample(self.luck.choice(texts.TWINS), 2)
        place = self.luck.choice(self.tables)
        self._index(place, Body(False, there), "twin")
        self._declares(place, Body(False, wanted), self.luck.choice(("twin", "i4")))

    def _declare(self) -> None:
        place = self.luck.choice(self.tables)
        there = [body for on, body in self._made if on == place or self._chance(0.1)]
        if self._pool:
            body = self.luck.choice(self._pool)
        elif there and self._chance(0.5):
            body = self.luck.choice(there)
        else:
            body = texts.body(self.luck, place.key)
        self._declares(
            place, body, self.luck.choice((*_FEW, "i4") if self._pool else (*_INDEXES, *_FEW, "i4"))
        )

    def _declares(self, place: Place, body: Body, name: str) -> None:
        if (place.schema, name) in {one.key for one in self.declared}:
            return
        text = texts.declared(self.luck, body, name, place.schema, place.name)
        self.declared.append(Declaration(place, name, body, text))


def _bound(how: str, number: int, count: int) -> str:
    if how == "hash":
        return f"WITH (modulus {count}, remainder {number})"
    if how == "list":
        return f"IN ({', '.join(str(value) for value in range(number, 1000, count))})"
    width = 1000 // count
    return f"FROM ({number * width}) TO ({(number + 1) * width})"
