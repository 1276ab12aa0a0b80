from __future__ import annotations

from dataclasses import replace

import pytest

from dbopt.errors import DeclarationError
from dbopt.migrate.changes import (
    Created,
    Dropped,
    Net,
    Noted,
    Renamed,
    attached,
    net_effect,
    read_changes,
    read_definition,
)
from dbopt.sql.indexdef import IndexDefinition, parse_index

A = parse_index("CREATE INDEX a ON s.t USING btree (x)")


def named(name: str, of: IndexDefinition = A) -> IndexDefinition:
    return replace(of, name=name)


@pytest.mark.parametrize(
    ("sql", "read"),
    [
        ("CREATE INDEX CONCURRENTLY a ON s.t USING btree (x)", [Created(A)]),
        ("CREATE INDEX a ON ONLY s.t USING btree (x);", [Created(A)]),
        ("DROP INDEX CONCURRENTLY IF EXISTS s.a", [Dropped(("s", "a"))]),
        ("DROP INDEX s.a", [Dropped(("s", "a"))]),
        ('DROP INDEX IF EXISTS "S x"."a.""b"', [Dropped(("S x", 'a."b'))]),
        ("ALTER INDEX s.a RENAME TO b", [Renamed(("s", "a"), ("s", "b"))]),
        ("alter index if exists s.a rename to B", [Renamed(("s", "a"), ("s", "b"))]),
        (
            "BEGIN; ALTER INDEX s.a RENAME TO c; ALTER INDEX s.b RENAME TO a; COMMIT",
            [Renamed(("s", "a"), ("s", "c")), Renamed(("s", "b"), ("s", "a"))],
        ),
        ("ALTER INDEX s.p ATTACH PARTITION s.a", []),
        ("REINDEX INDEX CONCURRENTLY s.a", []),
        ("", []),
    ],
)
def test_the_forms_that_dbopt_writes_are_read(
    sql: str, read: list[Created | Dropped | Renamed]
) -> None:
    assert read == read_changes(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "DROP INDEX s.a, s.b",
        "DROP INDEX s.a CASCADE",
        "DROP INDEX",
        "ALTER INDEX s.a RENAME TO b c",
        "ALTER INDEX rename TO b RENAME",
        "CREATE TABLE x (a int)",
        "CREATE INDEX a ON s.t ((f(x); DROP TABLE t))",
    ],
)
def test_what_only_looks_like_them_is_refused(sql: str) -> None:
    with pytest.raises(DeclarationError):
        read_changes(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE INDEX a ON t (x) WHERE true; DROP TABLE t",
        "CREATE INDEX a ON t (x) WHERE (true; DROP TABLE t)",
        "CREATE INDEX a ON t (x) WHERE true) FROM t; COMMIT",
        "CREATE INDEX a ON t (x) WHERE true) OR (true",
        "CREATE INDEX a ON t (x) WHERE (true",
        'CREATE INDEX a ON t USING "btree (x); DROP TABLE t; --" (x)',
        'CREATE INDEX a ON t USING "btree (f(x)) WHERE f" (x)',
        "CREATE INDEX a ON t (x) WHERE x = '\0'",
        "DROP INDEX a",
        "",
    ],
)
def test_a_definition_is_one_statement_whose_parentheses_close(sql: str) -> None:
    with pytest.raises(DeclarationError):
        read_definition(sql)


def test_strings_may_hold_what_is_none() -> None:
    sql = "CREATE INDEX a ON s.t USING btree (x) WHERE y = ');'"
    assert replace(A, predicate="y = ');'") == read_definition(f"{sql};")


def net(*reads: Created | Dropped | Renamed, undoable: bool = True) -> list[tuple[str, str]]:
    """Names before and after, "" for none, of what the reads come to."""
    notes = [
        Noted(n, read, named(read.name[1]), undoable=undoable) for n, read in enumerate(reads, 1)
    ]
    return [
        (one.before.name if one.before else "", one.after.name if one.after else "")
        for one in net_effect(notes)
    ]


def rename(one: str, to: str) -> Renamed:
    return Renamed(("s", one), ("s", to))


def test_statements_come_to_a_net_effect() -> None:
    create = Created(A)
    assert [("", "a")] == net(create)
    assert [("a", "")] == net(Dropped(("s", "a")))
    assert [("a", "b")] == net(rename("a", "b"))
    assert [] == net(create, Dropped(("s", "a")))
    assert [] == net(rename("a", "b"), rename("b", "a"))
    assert [("", "b")] == net(create, rename("a", "b"))
    assert [("a", "")] == net(rename("a", "b"), Dropped(("s", "b")))


def test_a_replacement_is_one_that_came_and_one_that_went() -> None:
    assert [("a", ""), ("", "a")] == net(
        Created(named("a_dbopt_new")),
        rename("a", "a_dbopt_old"),
        rename("a_dbopt_new", "a"),
        Dropped(("s", "a_dbopt_old")),
    )


def test_two_that_change_names() -> None:
    swapped = net(rename("a", "a_dbopt_old"), rename("b", "a"), rename("a_dbopt_old", "b"))
    assert [("a", "b"), ("b", "a")] == swapped


def test_the_drop_of_an_invalid_leftover_is_nothing_to_undo() -> None:
    assert [] == net(Dropped(("s", "a")), undoable=False)
    assert [("", "a")] == net(Dropped(("s", "a")), Created(A), undoable=False)


def test_the_last_change_is_the_first_to_undo() -> None:
    assert [("", "b"), ("", "a")] == net(Created(named("a")), Created(named("b")))


def test_an_index_whose_definition_is_not_known_is_lost() -> None:
    assert [Net(last=1, lost=("s", "a"))] == net_effect([Noted(1, Dropped(("s", "a")), None)])
    [aside] = net_effect([Noted(1, rename("a", "b"), None)])
    assert Net(last=1, lost=("s", "a"), name=("s", "b")) == aside
    aside.known(named("b"))
    assert (named("a"), named("b"), None) == (aside.before, aside.after, aside.lost)


def test_the_drop_tells_what_stepped_aside() -> None:
    new, old = named("a_dbopt_new"), named("a_dbopt_old")
    notes = [
        Noted(1, Created(new), new),
        Noted(2, rename("a", "a_dbopt_old"), None),
        Noted(2, rename("a_dbopt_new", "a"), new),
        Noted(3, Dropped(("s", "a_dbopt_old")), old),
    ]
    went, came = net_effect(notes)
    assert (named("a"), None, None) == (went.before, went.after, went.lost)
    assert (None, named("a")) == (came.before, came.after)


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        ('ALTER INDEX s.a ATTACH PARTITION s."B b"', ("s", "B b")),
        ("alter index a attach partition b;", ("", "b")),
        ("ALTER INDEX s.attach RENAME TO b", None),
        ("DROP INDEX attach", None),
    ],
)
def test_what_is_attached(sql: str, name: tuple[str, str] | None) -> None:
    assert name == attached(sql)
