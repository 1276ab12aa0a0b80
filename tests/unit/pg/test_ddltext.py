from __future__ import annotations

from dataclasses import replace

from dbopt.pg.ddltext import (
    analyze_text,
    attach_text,
    create_only_text,
    create_text,
    drop_text,
    reindex_text,
    rename_text,
)
from dbopt.sql.indexdef import IndexDefinition, IndexKey

ONE = IndexDefinition("i", "s", "t", "btree", (IndexKey("a"),))
ODD = replace(ONE, name='My "i" ON x', schema="S 1", table="T", unique=True)


def test_each_statement_names_the_schema() -> None:
    assert [
        "CREATE INDEX CONCURRENTLY i ON s.t USING btree (a)",
        "CREATE INDEX i ON ONLY s.t USING btree (a)",
        "DROP INDEX CONCURRENTLY IF EXISTS s.i",
        "DROP INDEX IF EXISTS s.i",
        "REINDEX INDEX CONCURRENTLY s.i",
        "ALTER INDEX s.i ATTACH PARTITION s.j",
        "ANALYZE s.t",
    ] == [
        create_text(ONE),
        create_only_text(ONE),
        drop_text(ONE),
        drop_text(ONE, concurrently=False),
        reindex_text(ONE),
        attach_text(ONE, replace(ONE, name="j")),
        analyze_text(ONE),
    ]


def test_odd_names_are_quoted() -> None:
    assert 'CREATE UNIQUE INDEX "My ""i"" ON x" ON ONLY "S 1"."T" USING btree (a)' == (
        create_only_text(ODD)
    )
    assert 'DROP INDEX CONCURRENTLY IF EXISTS "S 1"."My ""i"" ON x"' == drop_text(ODD)
    assert "DROP INDEX CONCURRENTLY IF EXISTS i" == drop_text(replace(ONE, schema=""))


def test_two_renames_are_one_transaction() -> None:
    assert "ALTER INDEX s.a RENAME TO b" == rename_text("s", ("a", "b"))
    assert (
        'BEGIN; ALTER INDEX s.a RENAME TO "B"; ALTER INDEX s.c RENAME TO a; COMMIT'
        == rename_text("s", ("a", "B"), ("c", "a"))
    )
