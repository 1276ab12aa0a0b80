"""IndexDefinition: what an index is, however it was written down."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from dbopt.sql.lexer import Lexeme, code
from dbopt.sql.split import SourceStatement, statements

__all__ = [
    "IndexDefinition",
    "IndexKey",
    "SourceStatement",
    "parameters_sql",
    "parse_index",
    "qualified",
    "quote_name",
    "statements",
]

# PostgreSQL 18, Appendix C: reserved, or reserved but as a function or type name.
_RESERVED = frozenset(
    """all analyse analyze and any array as asc asymmetric authorization binary both case cast check
    collate collation column concurrently constraint create cross current_catalog current_date
    current_role current_schema current_time current_timestamp current_user default deferrable desc
    distinct do else end except false fetch for foreign freeze from full grant group having ilike in
    initially inner intersect into is isnull join lateral leading left like limit localtime
    localtimestamp natural not notnull null offset on only or order outer overlaps placing primary
    references returning right select session_user similar some symmetric system_user table
    tablesample then to trailing true union unique user using variadic verbose when where window
    with""".split()  # noqa: SIM905 - a list of one word a line would be a hundred lines
)
_BRACKETS = frozenset("()[]")
_plain_name = re.compile(r"[a-z_][a-z0-9_$]*").fullmatch


@dataclass(frozen=True, slots=True)
class IndexKey:
    """One key: a column name (folded as PostgreSQL folds it) or an expression's SQL.

    `opclass` and `collation` are SQL as `qualified` writes it, so a dot in a name is no schema's:
    `"en_US.utf8"`, `s.my_ops (siglen='32')`. "" is the type's or the column's own.
    """

    expression: str
    is_column: bool = True
    opclass: str = ""
    collation: str = ""
    descending: bool = False
    nulls_first: bool = False

    def same_as(self, other: IndexKey) -> bool:
        """Whether both keys order the same values in the same way."""
        return (
            self._values() == other._values()
            and _same_name(self.opclass, other.opclass)
            and _same_name(self.collation, other.collation)
        )

    def sql(self) -> str:
        """The key as CREATE INDEX takes it; NULLS only where it is not the order's default."""
        parts = [quote_name(self.expression) if self.is_column else f"({self.expression})"]
        if self.collation:
            parts += ["COLLATE", self.collation]
        parts += [self.opclass] if self.opclass else []
        parts += ["DESC"] if self.descending else []
        if self.nulls_first != self.descending:
            parts.append("NULLS FIRST" if self.nulls_first else "NULLS LAST")
        return " ".join(parts)

    def _values(self) -> tuple[object, ...]:
        expression = self.expression if self.is_column else _key_of(self.expression)
        return (expression, self.is_column, self.descending, self.nulls_first)


@dataclass(frozen=True, slots=True)
class IndexDefinition:
    """An index by meaning. `name` and `schema` take no part in `same_as` and `covers`.

    Only, two schemas that are both known must be equal: else it is not the same table.
    `storage` (parameters by name, as the catalog's reloptions have them) and `tablespace` (""
    is the default one) take no part either: they say how and where the index lies, not what it
    serves, and PostgreSQL changes them in place, so they are no reason for another build.
    """

    name: str
    schema: str
    table: str
    method: str
    keys: tuple[IndexKey, ...]
    include: tuple[str, ...] = ()
    predicate: str = ""
    unique: bool = False
    nulls_not_distinct: bool = False
    storage: tuple[tuple[str, str], ...] = ()
    tablespace: str = ""

    def same_as(self, other: IndexDefinition) -> bool:
        """Whether both are the same index but for the name."""
        return (
            self._same_rows(other)
            and self.method == other.method
            and len(self.keys) == len(other.keys)
            and self._starts_with(other)
            and set(self.include) == set(other.include)
            and self._uniqueness() == other._uniqueness()
        )

    def says(self, other: IndexDefinition) -> bool:
        """Whether both are the same index, and say so with the same words in the same order.

        `same_as` forgives what two writers may leave out, such as casts. Where both texts are the
        server's own, a word that differs is another index: `g = 'x'::citext`, `(g)::text = 'x'`.
        """
        return self == other or (self.same_as(other) and self.words() == other.words())

    def words(self) -> tuple[str, ...]:
        """Each word of its CREATE INDEX once, but for its name, parameters and tablespace.

        Once, and without brackets, since the server does not repeat itself: of its own text
        `= ANY ((ARRAY['a'::varchar])::text[])` it makes `= ANY (ARRAY[('a'::varchar)::text])`.
        """
        bare = replace(self, name="", storage=(), tablespace="")
        words: list[str] = []
        for token in code(bare.create_sql()):
            word = token.text.lower() if token.lexeme is Lexeme.WORD else token.text
            if words and (word == "." or words[-1].endswith(".")):
                words[-1] += word  # the schema's name may be there already, as the table's
            else:
                words.append(word)
        return tuple(dict.fromkeys(word for word in words if word not in _BRACKETS))

    def covers(self, other: IndexDefinition) -> bool:
        """Whether `other` can go, since this index serves all that it serves.

        That is: the same index, or a btree whose leading keys are all of the other's, in the
        same order, over the same rows, that also holds the other's INCLUDE columns. A unique
        index enforces its rule, so only the same one covers it. Other methods do not order by
        their leading keys.
        """
        if self.same_as(other):
            return True
        if other.unique or self.method != "btree" or other.method != "btree":
            return False
        held = set(self.include) | {key.expression for key in self.keys if key.is_column}
        return self._same_rows(other) and self._starts_with(other) and held >= set(other.include)

    def create_sql(self, concurrently: bool = True, if_not_exists: bool = False) -> str:
        """The CREATE INDEX statement, without a semicolon; identifiers quoted where needed."""
        parts = ["CREATE UNIQUE INDEX" if self.unique else "CREATE INDEX"]
        parts += ["CONCURRENTLY"] if concurrently else []
        parts += ["IF NOT EXISTS"] if if_not_exists and self.name else []
        parts += [quote_name(self.name)] if self.name else []
        table = quote_name(self.table)
        parts += ["ON", f"{quote_name(self.schema)}.{table}" if self.schema else table]
        parts += ["USING", self.method, f"({', '.join(key.sql() for key in self.keys)})"]
        if self.include:
            parts.append(f"INCLUDE ({', '.join(map(quote_name, self.include))})")
        parts += ["NULLS NOT DISTINCT"] if self.nulls_not_distinct else []
        parts += [f"WITH {parameters_sql(self.storage)}"] if self.storage else []
        parts += ["TABLESPACE", quote_name(self.tablespace)] if self.tablespace else []
        parts += ["WHERE", self.predicate] if self.predicate else []
        return " ".join(parts)

    def _same_rows(self, other: IndexDefinition) -> bool:
        schemas = {self.schema, other.schema} - {""}
        return (
            self.table == other.table
            and len(schemas) < 2
            and _key_of(self.predicate) == _key_of(other.predicate)
        )

    def _starts_with(self, other: IndexDefinition) -> bool:
        if len(self.keys) < len(other.keys):
            return False
        return all(a.same_as(b) for a, b in zip(self.keys, other.keys, strict=False))

    def _uniqueness(self) -> tuple[bool, bool]:
        return (self.unique, self.unique and self.nulls_not_distinct)


def quote_name(name: str) -> str:
    """An identifier as SQL: in quotes only where PostgreSQL would read it otherwise."""
    if _plain_name(name) is not None and not is_reserved(name):
        return name
    return '"' + name.replace('"', '""') + '"'


def is_reserved(word: str) -> bool:
    """Whether a lower case word is a name in quotes only."""
    return word in _RESERVED


def qualified(schema: str, name: str) -> str:
    """A name as SQL, with its schema unless that is "" or pg_catalog, which needs no naming."""
    parts = [name] if schema in {"", "pg_catalog"} else [schema, name]
    return ".".join(map(quote_name, parts))


def parameters_sql(parameters: Iterable[tuple[str, str]]) -> str:
    """Parameters as WITH and operator classes take them: `(fillfactor='70')`."""
    pairs = [f"{quote_name(name)}='{_doubled(value)}'" for name, value in parameters]
    return f"({', '.join(pairs)})"


def _doubled(value: str) -> str:
    return value.replace("'", "''")


def _same_name(one: str, other: str) -> bool:
    """Whether both are the same name; one without its schema may be any schema's."""
    return one == other or bool(
        one and other and (one.endswith(f".{other}") or other.endswith(f".{one}"))
    )


def parse_index(sql: str, line: int = 1, column: int = 1) -> IndexDefinition:
    """The definition that one CREATE INDEX statement declares.

    `line` and `column` say where the statement starts in its file; errors count from there.
    Raises DeclarationError, with line and column, for anything but a CREATE INDEX statement.
    """
    from dbopt.sql.indexreader import read_index  # it builds what this module defines

    return read_index(sql, line, column)


def _key_of(expression: str) -> str:
    if not expression:
        return ""
    from dbopt.sql.expression import comparison_key  # sqlglot, which not everyone here needs

    return comparison_key(expression)
