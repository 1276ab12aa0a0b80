from __future__ import annotations

import pytest

from dbopt.errors import DeclarationError
from dbopt.sql.indexdef import IndexDefinition, IndexKey, parse_index, quote_name

FULL = """CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "Idx" ON ONLY public."T" USING btree
  (lower(email) text_pattern_ops DESC NULLS LAST, (a), (a || b) COLLATE "C", c ASC NULLS FIRST)
  INCLUDE (x, "Y") NULLS NOT DISTINCT WITH (fillfactor = 70) TABLESPACE s
  WHERE ((b IS NOT NULL));"""


def test_every_clause() -> None:
    keys = (
        IndexKey("lower(email)", False, "text_pattern_ops", "", True, False),
        IndexKey("a"),
        IndexKey("a || b", False, "", '"C"'),
        IndexKey("c", nulls_first=True),
    )
    expected = IndexDefinition(
        name="Idx",
        schema="public",
        table="T",
        method="btree",
        keys=keys,
        include=("x", "Y"),
        predicate="b IS NOT NULL",
        unique=True,
        nulls_not_distinct=True,
        storage=(("fillfactor", "70"),),
        tablespace="s",
    )
    assert expected == parse_index(FULL)


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("create index on T (A)", "CREATE INDEX CONCURRENTLY ON t USING btree (a)"),
        (
            "create index i on s.t using gin (doc jsonb_path_ops)",
            "CREATE INDEX CONCURRENTLY i ON s.t USING gin (doc jsonb_path_ops)",
        ),
        (
            'create index i on t (a collate "en.utf8", b collate "S".x)',
            'CREATE INDEX CONCURRENTLY i ON t USING btree (a COLLATE "en.utf8", b COLLATE "S".x)',
        ),
        (
            'create index i on t (a s."my.ops", b pg_catalog.text_pattern_ops)',
            'CREATE INDEX CONCURRENTLY i ON t USING btree (a s."my.ops", b text_pattern_ops)',
        ),
        (
            "create index i on t (a) with (fillfactor=70, Deduplicate_Items = OFF, x, y='it''s')",
            "CREATE INDEX CONCURRENTLY i ON t USING btree (a) "
            "WITH (deduplicate_items='off', fillfactor='70', x='true', y='it''s')",
        ),
        (
            'create index i on t (a) tablespace "Fast" where b',
            'CREATE INDEX CONCURRENTLY i ON t USING btree (a) TABLESPACE "Fast" WHERE b',
        ),
        (
            "create index i on t (a desc, b desc nulls last)",
            "CREATE INDEX CONCURRENTLY i ON t USING btree (a DESC, b DESC NULLS LAST)",
        ),
        (
            'create index "order" on "Sel ect" ("x""y")',
            'CREATE INDEX CONCURRENTLY "order" ON "Sel ect" USING btree ("x""y")',
        ),
        (
            "create index i on t using gist (g gist_trgm_ops(siglen=32))",
            "CREATE INDEX CONCURRENTLY i ON t USING gist (g gist_trgm_ops (siglen='32'))",
        ),
        (
            'create index i on t (a collate pg_catalog."default", b collate s."C")',
            'CREATE INDEX CONCURRENTLY i ON t USING btree (a COLLATE "default", b COLLATE s."C")',
        ),
        (
            'create unique index i on t ((true), ("true"), (name))',
            'CREATE UNIQUE INDEX CONCURRENTLY i ON t USING btree ((true), "true", name)',
        ),
        (
            "create index i on t (lower(a)) where a is not null",
            "CREATE INDEX CONCURRENTLY i ON t USING btree ((lower(a))) WHERE a is not null",
        ),
    ],
)
def test_create_sql(declared: str, expected: str) -> None:
    definition = parse_index(declared)
    assert expected == definition.create_sql()
    assert definition == parse_index(expected)


def test_create_sql_of_every_clause_reads_back() -> None:
    definition = parse_index(FULL)
    again = definition.create_sql(concurrently=False, if_not_exists=True)
    assert again.startswith('CREATE UNIQUE INDEX IF NOT EXISTS "Idx" ON public."T" USING btree (')
    assert definition == parse_index(again)


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("", "Line 7, column 3: expected CREATE, found the end."),
        ("select 1", 'Line 7, column 3: expected CREATE, found "select".'),
        ("create table t ()", 'Line 7, column 10: expected INDEX, found "table".'),
        ("create index i on t (a", 'Line 7, column 25: expected ")", found the end.'),
        ("create index i on\n t (a b c)", 'Line 8, column 9: expected ")", found "c".'),
        (
            "create index i on t (a) 'secret'",
            "Line 7, column 27: expected the end of the statement, found a constant.",
        ),
        (
            "create index i on t ()",
            'Line 7, column 24: expected a column or an expression, found ")".',
        ),
        (
            "create index i on t (a) where",
            "Line 7, column 32: expected a predicate, found the end.",
        ),
        (
            "create index i on t (a) with (x = e'secret')",
            "Line 7, column 37: expected a name, a number or a string in single quotes, "
            "found a constant.",
        ),
        (
            "create index i on t (a collate x.y.z)",
            'Line 7, column 39: expected a collation, found ")".',
        ),
        (
            "create index i on t (a); select 1",
            'Line 7, column 26: expected the end of the statement, found ";".',
        ),
    ],
)
def test_errors_say_where(sql: str, message: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        parse_index(sql, line=7, column=3)
    assert message == caught.value.message


SAME = [
    ("create index i on t (a)", "create index i on t (a) with (fillfactor = 50) tablespace x"),
    ('create index i on t (a collate "C")', 'create index i on t (a collate pg_catalog."C")'),
    ('create index i on t (a collate "x.y")', 'create index i on t (a collate s."x.y")'),
    ("create index i on t (a my_ops)", "create index i on t (a s.my_ops)"),
    ("create index i on t (a o(n=1))", "create index i on t (a o (N = '1'))"),
    ("create index i on t (a)", "create index j on public.t using btree (a asc nulls last)"),
    ("create index i on t (a desc)", "create index i on t (a desc nulls first)"),
    ("create index i on t (a) include (b, c)", "create index i on t (a) include (c, b)"),
    (
        "create index i on t (a) where s = 'x'",
        "create index i on t (a) where ((s)::text = 'x'::text)",
    ),
    ("create index i on t (lower(a))", "create index i on t (lower((a)::text))"),
]
OTHER = [
    ('create index i on t (a collate "x.y")', "create index i on t (a collate x.y)"),
    ("create index i on t (a collate r.c)", "create index i on t (a collate s.c)"),
    ("create index i on t (a r.my_ops)", "create index i on t (a s.my_ops)"),
    ("create index i on t (a o(n=1))", "create index i on t (a o(n=2))"),
    ("create index i on t (a o(n=1))", "create index i on t (a o)"),
    ("create index i on t (a)", "create index i on u (a)"),
    ("create index i on a.t (a)", "create index i on b.t (a)"),
    ("create index i on t (a)", "create index i on t using hash (a)"),
    ("create index i on t (a)", "create index i on t (a desc)"),
    ("create index i on t (a)", "create index i on t (a) where b"),
    ("create index i on t (a)", "create unique index i on t (a)"),
    ("create unique index i on t (a)", "create unique index i on t (a) nulls not distinct"),
    ("create index i on t (a)", "create index i on t (a text_pattern_ops)"),
    ("create index i on t (a)", "create index i on t (a text_ops)"),  # of a citext it is another
    ("create index i on t (a)", 'create index i on t (a collate "C")'),
    ("create index i on t (a)", "create index i on t (a) include (b)"),
    ("create index i on t (a, b)", "create index i on t (b, a)"),
    ("create index i on t (lower(a))", 'create index i on t ("lower(a)")'),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_same(one: str, other: str) -> None:
    assert parse_index(one).same_as(parse_index(other))
    assert parse_index(one).covers(parse_index(other))


@pytest.mark.parametrize(("one", "other"), OTHER)
def test_not_the_same(one: str, other: str) -> None:
    assert not parse_index(one).same_as(parse_index(other))
    assert not parse_index(other).same_as(parse_index(one))


@pytest.mark.parametrize(
    ("wide", "narrow", "expected"),
    [
        ("create index i on t (a, b)", "create index j on t (a)", True),
        ("create unique index i on t (a, b)", "create index j on t (a)", True),
        ("create index i on t (a, b)", "create unique index j on t (a)", False),
        ("create index i on t (a, b)", "create index j on t (b)", False),
        ("create index i on t (a desc, b)", "create index j on t (a)", False),
        ("create index i on t (a, b)", "create index j on t (a) include (b)", True),
        ("create index i on t (a, b)", "create index j on t (a) include (c)", False),
        ("create index i on t (a, b) include (c)", "create index j on t (a) include (c)", True),
        ("create index i on t (a, b) where c", "create index j on t (a)", False),
        ("create index i on t (a, b) where c", "create index j on t (a) where (c)", True),
        ("create index i on t using gin (a, b)", "create index j on t using gin (a)", False),
        ("create index i on t using gin (a)", "create index j on t using gin (a)", True),
        # Column numbers written as text would make 1 a prefix of 10.
        ("create index i on t (c10)", "create index j on t (c1)", False),
    ],
)
def test_covers(wide: str, narrow: str, expected: bool) -> None:
    assert expected is parse_index(wide).covers(parse_index(narrow))


def test_a_narrow_index_covers_no_wide_one() -> None:
    narrow, wide = parse_index("create index on t (a)"), parse_index("create index on t (a, b)")
    assert not narrow.covers(wide)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("users", "users"),
        ("Users", '"Users"'),
        ("select", '"select"'),
        ("a b", '"a b"'),
        ('a"b', '"a""b"'),
        ("", '""'),
        ("1a", '"1a"'),
    ],
)
def test_quote_name(name: str, expected: str) -> None:
    assert expected == quote_name(name)
