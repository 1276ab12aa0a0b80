"""Random CREATE INDEX texts over the columns below, as people write them."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

COLUMNS = (
    "a int", "b text", 'c text COLLATE "C"', "d jsonb", "e int[]", "g citext", "h timestamptz",
    "v varchar(20)", '"Weird Col" int', "n numeric(10,2)", "r int4range", "p point", "t tsvector",
    "k bpchar(5)", "m mood", "o dom", "u uuid", "big bigint", "h2 timestamp", "da date",
)  # fmt: skip
ROWS = """(a, big, b, c, d, e, g, h, v, "Weird Col", n, r, p, t, k, m, o, u, h2, da)
 SELECT i, i, 'w' || i % 7, 'c' || i, jsonb_build_object('x', i, 'n', i), ARRAY[i], 'G' || i, now(),
        'v' || i, i, i, int4range(i, i + 2), point(i, i), to_tsvector('w' || i), 'k', 'x', 'o',
        gen_random_uuid(), now(), now() FROM generate_series(1, 40) i"""
TYPES = """
CREATE EXTENSION IF NOT EXISTS citext; CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS btree_gist; CREATE EXTENSION IF NOT EXISTS btree_gin;
CREATE EXTENSION IF NOT EXISTS bloom;
CREATE TYPE mood AS ENUM ('x', 'y', 'z'); CREATE DOMAIN dom AS text;
CREATE SCHEMA "Sch ema"; CREATE SCHEMA other;
CREATE COLLATION other.ger (locale = 'C'); CREATE COLLATION public.nd (locale = 'POSIX');
CREATE FUNCTION public.imm(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT upper($1)';
CREATE FUNCTION other.imm(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT upper($1)';
CREATE OPERATOR CLASS other.text_ops FOR TYPE text USING btree AS
    OPERATOR 1 ~<~, OPERATOR 2 ~<=~, OPERATOR 3 =, OPERATOR 4 ~>=~, OPERATOR 5 ~>~,
    FUNCTION 1 bttext_pattern_cmp(text, text);
CREATE FOREIGN DATA WRAPPER fdw; CREATE SERVER fs FOREIGN DATA WRAPPER fdw;
"""
"""What the texts need in a database."""

_PLAIN_KEYS = (
    "b", "b", "a", "c", "g", "h", "v", '"Weird Col"', "n", "k", "m", "o", "u", "big", "h2", "da",
)  # fmt: skip
_EXPRESSIONS = (
    "lower(b)", "(lower(b))", "upper(v)", "(a + 1)", "((a) * 2)", "(b || c)", "imm(b)",
    "public.imm(b)", "other.imm(b)", "(d ->> 'x')", "((d #>> '{a,b}'))", "((d->>'n')::int)",
    "coalesce(b, v)", "(h AT TIME ZONE 'UTC')", "date_trunc('day', h2)",
    "(CASE WHEN a > 0 THEN b END)", "(a::text)", "(v::text)", "(g::text)", "(b::varchar(3))",
    "(b::citext)", "extract(year from h2)", "(b IS NULL)", "left(b, 3)", "(n::int)", "md5(b)",
    "substring(b from 1 for 2)", '(b COLLATE "C")', "(- a)", "position('x' in b)",
    "(array_length(e,1))", "(e[1])", "greatest(a, 1)", "nullif(b,'')", "(b ~~ 'x%')",
    "(b like 'x%')", "(a = any (array[1,2]))", "(a in (1,2,3))", "(a between 1 and 3)",
    "(not a > 1)", "(r @> 5)", "lower(r)", "(o || 'x')", "trim(b)",
    "overlay(b placing 'x' from 1 for 1)", "(b::bpchar)",
)  # fmt: skip
_COLLATABLE = ("b", "c", "v", "o", "lower(b)", "(b || c)", "imm(b)")
_COLLATIONS = ('"C"', "other.ger", '"default"', "nd", '"POSIX"', 'pg_catalog."C"')
_CLASSES = {
    "a": ("int4_ops", "oid_ops"),
    "b": ("text_ops", "text_pattern_ops", "pg_catalog.text_ops", "varchar_pattern_ops",
          "other.text_ops", "varchar_ops"),
    "g": ("citext_ops", "text_ops"),
    "k": ("bpchar_ops", "bpchar_pattern_ops", "text_ops"),
    "v": ("varchar_pattern_ops", "text_ops", "varchar_ops", "bpchar_ops"),
}  # fmt: skip
_PREDICATES = (
    "a > 5", "b IS NOT NULL", "b = 'it''s'", "v IN ('a','b')", "m = 'x'", "a BETWEEN 1 AND 9",
    "NOT (a = 3)", "a <> 3 AND b LIKE 'x%'", "(a > 1 OR a < -1)", "n > 1.5", "n > -1.5",
    "h > '2020-01-01 00:00:00+00'::timestamptz", "d ? 'k'", "d @> '{\"a\": 1}'", "g = 'X'",
    "g = 'X'::text", "v = 'x'", "v::text = 'x'::text", "k = 'x'", "k::text = 'x'",
    "b::bpchar = 'x'", "coalesce(b,'') <> ''", "da >= '2020-01-01'", "h2 > DATE '2020-01-01'",
    "a = ANY ('{1,2}')", "a = ANY (ARRAY[2,1])", "a IN (1,2)", "a IN (2,1)", "(((a > 5)))",
    "a % 2 = 0", "b ~* 'X'", "e @> '{1}'", "r && '[1,2)'", "a IS DISTINCT FROM 4",
    "b is null and c is null", "c is null and b is null", "a::bigint > 5", "a > 5::bigint",
    "u = '00000000-0000-0000-0000-000000000000'", "a > 5.0", "b > 'x' COLLATE \"C\"", "b > 'x'",
    "b = E'\\n\\\\'", "a = -1", "a = - 1", "a*2 > 5+1", "a+2*3 > 4", "(a+2)*3 > 4",
    "b || 'é' = 'ü'",
)  # fmt: skip
_INCLUDED = ("a", "d", '"Weird Col"', "b", "h")
_METHODS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "gin": (
        ("d", "d jsonb_path_ops", "d jsonb_ops", "e", "t", "b gin_trgm_ops", "a, b gin_trgm_ops",
         "to_tsvector('english', b)", "(d -> 'tags')", "b public.gin_trgm_ops",
         "(to_tsvector('simple'::regconfig, coalesce(b,'') || ' ' || c))"),
        ("fastupdate=off", "fastupdate", "gin_pending_list_limit=100"),
    ),
    "gist": (
        ("p", "r", "b gist_trgm_ops", "b gist_trgm_ops (siglen=32)", "a, r", "t",
         "t tsvector_ops(siglen=100)"),
        ("fillfactor=70", "buffering=off"),
    ),
    "hash": (("b", "a", "lower(b)", "u"), ("fillfactor=60",)),
    "brin": (
        ("a", "h, a", "h timestamptz_minmax_multi_ops (values_per_range=16)", "a int4_bloom_ops"),
        ("pages_per_range=32", "autosummarize=on"),
    ),
    "spgist": (("p", "p kd_point_ops", "r", "b"), ("fillfactor=70",)),
    "bloom": (("a", "a, b"), ("length=80", "col1=4")),
}  # fmt: skip
"""Keys and parameters of each method but btree."""
_OF_BTREE = (
    "fillfactor=70", "fillfactor = 70, deduplicate_items=off", "deduplicate_items",
    "fillfactor='80'",
)  # fmt: skip
TWINS = (
    (" (b) WHERE g = 'X'", " (b) WHERE g = 'X'::text"),
    (" (a) WHERE k = 'x'", " (a) WHERE k::text = 'x'"),
    (" (a) WHERE a > 5", " (a) WHERE a > 5.0"),
    (" (a) WHERE a = ANY (ARRAY[1, 2])", " (a) WHERE a = ANY (ARRAY[1, 2]::bigint[])"),
    (" ((n::int))", " ((n::bigint))"),
    (" ((a / 2))", " ((a / 2.0))"),
    (" (imm(b))", " (other.imm(b))"),
    (" (b text_ops)", " (b other.text_ops)"),
    (" ((b || c))", ' ((b || c) COLLATE "default")'),
    (" (b, c) WHERE b > 'x'", " (b, c) WHERE b > 'x' COLLATE \"C\""),
)
"""Two indexes each that look alike, and are not the same."""


@dataclass(frozen=True, slots=True)
class Body:
    """What a CREATE INDEX says after its table, and whether it is unique."""

    unique: bool
    text: str

    def create(self, name: str, table: str) -> str:
        """The statement; both names are SQL."""
        return f"CREATE {'UNIQUE ' * self.unique}INDEX {name} ON {table}{self.text}"


def quoted(name: str) -> str:
    """An identifier in quotes."""
    return '"' + name.replace('"', '""') + '"'


def body(luck: random.Random, partition_key: str = "") -> Body:
    """A random index; a unique one has the columns of the partition key."""
    unique = False
    if luck.random() < 0.62:
        unique = luck.random() < 0.3
        text = _btree(luck, partition_key if unique else None)
        parameters: tuple[str, ...] = _OF_BTREE
    else:
        method = luck.choices(list(_METHODS), (10, 10, 6, 7, 3, 2))[0]
        keys, parameters = _METHODS[method]
        text = f" USING {method} ({luck.choice(keys)})"
        text += " INCLUDE (a)" if method == "gist" and luck.random() < 0.2 else ""
    if luck.random() < 0.15:
        text += f" WITH ({luck.choice(parameters)})"
    if luck.random() < 0.06:
        text += f" TABLESPACE {luck.choice(('spc', 'pg_default'))}"
    if luck.random() < 0.3:
        text += f" WHERE {luck.choice(_PREDICATES)}"
    return Body(unique, text)


def _btree(luck: random.Random, partition_key: str | None) -> str:
    """`partition_key` is None for one that is not unique, "" for a table without."""
    keys = [_key(luck) for _ in range(luck.choice((1, 1, 1, 2, 2, 3)))]
    if partition_key is not None:
        keys = ["a", *keys[: luck.randrange(2)], *([partition_key] if partition_key else [])]
        luck.shuffle(keys)
    text = luck.choice(("", " USING btree")) + f" ({', '.join(keys)})"
    if luck.random() < 0.2:
        text += f" INCLUDE ({', '.join(luck.sample(_INCLUDED, luck.choice((1, 2))))})"
    if partition_key is not None and luck.random() < 0.3:
        text += luck.choice((" NULLS NOT DISTINCT", " NULLS DISTINCT"))
    return text


def _key(luck: random.Random) -> str:
    key = luck.choice(_PLAIN_KEYS + _EXPRESSIONS)
    parts = [key]
    if key in _COLLATABLE and luck.random() < 0.25:
        parts.append(f"COLLATE {luck.choice(_COLLATIONS)}")
    if key in _CLASSES and luck.random() < 0.25:
        parts.append(luck.choice(_CLASSES[key]))
    parts.append(luck.choice(("", "", "", "ASC", "DESC")))
    parts.append(luck.choice(("", "", "", "NULLS FIRST", "NULLS LAST")))
    return " ".join(part for part in parts if part)


def declared(luck: random.Random, one: Body, name: str, schema: str, table: str) -> str:
    """The index as a file declares it, in some spelling."""
    how = luck.choice(("", "CONCURRENTLY ", "CONCURRENTLY IF NOT EXISTS ", "IF NOT EXISTS "))
    where = "" if schema == "public" and luck.random() < 0.6 else f"{_spelled(luck, schema)}."
    text = one.create(how + _spelled(luck, name), where + _spelled(luck, table))
    return text.replace("CREATE", luck.choice(("CREATE", "create")), 1)


def _spelled(luck: random.Random, name: str) -> str:
    """In quotes where it must be, and sometimes where it need not."""
    plain = re.fullmatch("[a-z_][a-z_0-9]*", name) and name != "select"
    return name if plain and luck.random() < 0.7 else quoted(name)
