from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from dbopt.migrate.lock import KEY
from dbopt.migrate.plan import make_plan
from dbopt.migrate.script import script, statements
from dbopt.migrate.steps import Action, Step, Wanted
from dbopt.pg.catalog import Catalog, Index, Table
from dbopt.settings import Migrate
from dbopt.sql.indexdef import IndexDefinition, IndexKey

A = IndexDefinition("a", "public", "t", "btree", (IndexKey("x"),))
B = replace(A, name="b", keys=(IndexKey("y"),))
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _catalog(*indexes: Index, tables: tuple[Table, ...] = (Table(1, "public", "t"),)) -> Catalog:
    return Catalog(tables, indexes, (), 18, NOW, NOW)


def _sql(wanted: list[IndexDefinition], here: Catalog, **options: object) -> list[str]:
    steps = make_plan([Wanted(one) for one in wanted], here, **options)  # type: ignore[arg-type]
    return [one.sql for part in statements(steps, here) for one in part.statements]


def test_a_create_and_the_statistics_of_its_expression() -> None:
    lower = replace(A, name="low", keys=(IndexKey("lower(x)", is_column=False),))

    assert [
        "CREATE INDEX CONCURRENTLY a ON public.t USING btree (x)",
        "CREATE INDEX CONCURRENTLY low ON public.t USING btree ((lower(x)))",
        "ANALYZE public.t",
    ] == _sql([A, lower], _catalog())


def test_two_change_names() -> None:
    here = _catalog(
        Index(11, 1, replace(A, keys=B.keys)),
        Index(12, 1, replace(B, keys=A.keys)),
    )

    assert [
        "BEGIN; ALTER INDEX public.b RENAME TO b_dbopt_old; "
        "ALTER INDEX public.a RENAME TO b; COMMIT",
        "ALTER INDEX public.b_dbopt_old RENAME TO a",
    ] == _sql([A, B], here)


def test_a_replacement_uses_what_a_killed_run_has_built() -> None:
    here = _catalog(
        Index(11, 1, replace(A, keys=B.keys)), Index(12, 1, replace(A, name="a_dbopt_new"))
    )

    assert [
        "BEGIN; ALTER INDEX public.a RENAME TO a_dbopt_old; "
        "ALTER INDEX public.a_dbopt_new RENAME TO a; COMMIT",
        "DROP INDEX CONCURRENTLY IF EXISTS public.a_dbopt_old",
    ] == _sql([A], here)


def test_a_replacement_whose_leftover_is_invalid_builds_anew() -> None:
    here = _catalog(
        Index(11, 1, replace(A, keys=B.keys)),
        Index(12, 1, replace(A, name="a_dbopt_new"), valid=False),
    )

    assert [
        "DROP INDEX CONCURRENTLY IF EXISTS public.a_dbopt_new",
        "CREATE INDEX CONCURRENTLY a_dbopt_new ON public.t USING btree (x)",
    ] == _sql([A], here)[:2]
    assert 1 == sum("DROP" in text and "a_dbopt_new" in text for text in _sql([A], here))


def test_a_tree_that_a_killed_run_has_left_of_another_meaning_makes_room() -> None:
    """It was given the declared name, and the index that had served was dropped."""
    tables = (Table(1, "public", "t", partitioned=True),)
    named = Index(11, 1, replace(A, keys=(IndexKey("z"),)), partitioned=True)
    left = Index(12, 1, replace(A, name="a_dbopt_new", keys=(IndexKey("y"),)), partitioned=True)

    assert [
        "DROP INDEX IF EXISTS public.a_dbopt_new",
        "CREATE INDEX a_dbopt_new ON ONLY public.t USING btree (x)",
    ] == _sql([A], _catalog(named, left, tables=tables))[:2]


def test_what_is_attached_and_invalid_is_repaired_in_its_place() -> None:
    tables = (
        Table(1, "public", "t", partitioned=True),
        Table(2, "public", "t1", parent=1),
    )
    parent = Index(11, 1, A, valid=False, partitioned=True)
    leaf = Index(12, 2, replace(A, name="leaf", table="t1"), valid=False, parent=11)

    assert [
        "REINDEX INDEX CONCURRENTLY public.leaf",
        "ALTER INDEX public.a ATTACH PARTITION public.leaf",
    ] == _sql([A], _catalog(parent, leaf, tables=tables))


def test_a_parent_that_lacks_nothing_is_looked_at_again() -> None:
    tables = (
        Table(1, "public", "t", partitioned=True),
        Table(2, "public", "t1", parent=1),
    )
    parent = Index(11, 1, A, valid=False, partitioned=True)
    leaf = Index(12, 2, replace(A, name="leaf", table="t1"), parent=11)

    assert ["ALTER INDEX public.a ATTACH PARTITION public.leaf"] == _sql(
        [A], _catalog(parent, leaf, tables=tables)
    )


def test_conflicts_and_builds_of_others_are_comments_only() -> None:
    steps = [Step(Action.CONFLICT, A, None, "why"), Step(Action.BUSY, B, None, "pid 7 builds it")]
    text = script(statements(steps, _catalog()), Migrate())

    assert "-- 1. conflict public.a\n-- why\n" in text
    assert "CREATE" not in text


def test_the_whole_script() -> None:
    parts = statements([Step(Action.CREATE, A, where="t.sql:3")], _catalog())
    text = script(parts, Migrate(build_timeout=10), {0: "a note"}, search_path="it's, b\\c")

    assert text.startswith("-- Run it with psql")
    assert text.endswith(
        "SELECT set_config('search_path', E'it''s, b\\\\c', false) \\gset\n"
        "SET transaction_timeout = 0;\n"
        "\n-- 1. create public.a (t.sql:3)\n-- a note\n"
        "SET lock_timeout = 0; SET statement_timeout = 10000;\n"
        "CREATE INDEX CONCURRENTLY a ON public.t USING btree (x);\n"
        "\nRESET lock_timeout;\nRESET statement_timeout;\n"
        f"SELECT pg_advisory_unlock({KEY}) \\gset\n"
    )
    assert "transaction_timeout" not in script(parts, Migrate(), version=16)


def test_short_locks_have_a_short_timeout() -> None:
    here = _catalog(Index(11, 1, replace(A, name="old")))
    (part,) = statements(make_plan([Wanted(A)], here), here)
    text = script([part], Migrate(lock_timeout=0.5))

    assert "SET lock_timeout = 500; SET statement_timeout = 3600000;\nALTER INDEX" in text


def test_a_name_with_a_line_break_runs_nothing() -> None:
    evil = replace(A, name="x\nDROP TABLE t; --")
    text = script(statements([Step(Action.CREATE, evil)], _catalog()), Migrate())

    assert "-- 1. create public.x DROP TABLE t; --\n" in text
