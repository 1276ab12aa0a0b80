from __future__ import annotations

from dataclasses import replace

from dbopt.index.advisor import suggest
from dbopt.index.candidates import MAX_WIDTH, candidates
from dbopt.index.workload import WorkloadQuery
from dbopt.pg.catalog import Column, Table
from dbopt.sql.fingerprint import fingerprint
from tests.unit.index.builders import catalog, foreign_key, index, table

ITEMS = replace(
    table("items", "id", "owner", "state", "made", "size"),
    columns=(
        *(Column(name, "integer") for name in ("id", "owner", "state", "made", "size")),
        Column("tags", "text[]", is_array=True),
        Column("doc", "jsonb"),
        Column("note", "json"),
    ),
)


def _query(text: str, calls: int = 1) -> WorkloadQuery:
    return WorkloadQuery(fingerprint(text), text, calls, 1.0)


def _proposed(*texts: str, on: Table = ITEMS, **facts: object) -> set[tuple[str, ...]]:
    found = candidates([_query(text) for text in texts], catalog([on], **facts))
    return {tuple(key.expression for key in c.definition.keys) for c in found}


def test_equality_comes_first_then_the_range() -> None:
    assert _proposed("SELECT 1 FROM items WHERE made > $1 AND owner = $2") == {
        ("owner",),
        ("made",),
        ("owner", "made"),
    }


def test_equality_then_the_order() -> None:
    assert _proposed("SELECT 1 FROM items WHERE owner = $1 ORDER BY made DESC LIMIT 5") == {
        ("owner",),
        ("made",),
        ("owner", "made"),
    }


def test_one_direction_throughout_needs_none_and_mixed_ones_do() -> None:
    same = candidates([_query("SELECT 1 FROM items ORDER BY made DESC, id DESC")], catalog([ITEMS]))
    mixed = candidates([_query("SELECT 1 FROM items ORDER BY made DESC, id")], catalog([ITEMS]))

    assert [key.descending for key in same[0].definition.keys] == [False, False]
    assert [key.descending for key in mixed[0].definition.keys] == [True, False]


def test_both_orders_of_two_equalities() -> None:
    assert {("owner", "state"), ("state", "owner")} <= _proposed(
        "SELECT 1 FROM items WHERE owner = $1 AND state = $2"
    )


def test_no_index_is_wider_than_the_limit() -> None:
    found = _proposed("SELECT 1 FROM items WHERE id=$1 AND owner=$2 AND state=$3 AND size=$4")

    assert max(map(len, found)) == MAX_WIDTH


def test_containment_asks_for_gin() -> None:
    text = "SELECT 1 FROM items WHERE tags && $1 AND doc @> $2"
    found = candidates([_query(text)], catalog([ITEMS]))

    assert {(c.definition.method, c.definition.keys[0].expression) for c in found} == {
        ("gin", "tags"),
        ("gin", "doc"),
    }


def test_types_without_an_order_are_left_out() -> None:
    assert _proposed("SELECT 1 FROM items WHERE note = $1 AND doc = $2 AND tags = $3") == set()


def test_an_or_is_no_reason_for_an_index() -> None:
    assert _proposed("SELECT 1 FROM items WHERE owner = $1 OR state = $2") == set()


def test_what_an_index_covers_is_left_out() -> None:
    there = index("there", "owner", "state", on=ITEMS)

    assert ("owner",) not in _proposed("SELECT 1 FROM items WHERE owner = $1", indexes=[there])


def test_an_invalid_index_covers_nothing() -> None:
    there = index("there", "owner", on=ITEMS, valid=False)

    assert ("owner",) in _proposed("SELECT 1 FROM items WHERE owner = $1", indexes=[there])


def test_a_foreign_key_of_a_table_that_is_used_is_a_candidate() -> None:
    key = foreign_key("owner", on=ITEMS)

    assert ("owner",) in _proposed("SELECT 1 FROM items WHERE id = $1", foreign_keys=[key])
    assert _proposed("SELECT 1", foreign_keys=[key]) == set()


def test_one_candidate_of_two_statements_helps_both() -> None:
    one, two = (_query(f"SELECT {n} FROM items WHERE owner = $1") for n in ("id", "made"))
    (found,) = candidates([one, two], catalog([ITEMS]))

    assert found.fingerprints == {one.fingerprint, two.fingerprint}


def test_a_name_that_is_taken_gets_a_number() -> None:
    taken = index("items_owner_idx", "state", on=ITEMS)
    (found,) = candidates(
        [_query("SELECT 1 FROM items WHERE owner = $1")], catalog([ITEMS], [taken])
    )

    assert found.definition.name == "items_owner_idx1"


def test_the_most_expensive_statement_comes_first() -> None:
    cheap = _query("SELECT 1 FROM items WHERE owner = $1", calls=1)
    dear = _query("SELECT 1 FROM items WHERE state = $1", calls=9)
    found = candidates([cheap, dear], catalog([ITEMS]))

    assert [c.definition.keys[0].expression for c in found] == ["state", "owner"]


def test_advice_for_a_partitioned_table_can_be_run() -> None:
    """PostgreSQL builds nothing concurrently there."""
    top = table("parted", "id", "mail", partitioned=True)
    query = WorkloadQuery(7, "SELECT id FROM s.parted WHERE mail = $1", 10, 5.0)

    (advice,) = suggest([query], catalog([top]), [])

    assert "CREATE INDEX parted_mail_idx ON s.parted USING btree (mail);" == advice.create_sql
