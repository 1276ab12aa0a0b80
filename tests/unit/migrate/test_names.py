from __future__ import annotations

from dataclasses import replace

import pytest

from dbopt.migrate.names import MAX_NAME, is_reindex_leftover, leaf_name, new_name, old_name
from dbopt.sql.indexdef import IndexDefinition, IndexKey

WANTED = IndexDefinition("users_email", "public", "users", "btree", (IndexKey("email"),))


def test_short_names_keep_theirs_whole() -> None:
    assert ("a_dbopt_new", "a_dbopt_old") == (new_name("a"), old_name("a"))


@pytest.mark.parametrize("name", ["x" * 63, "ä" * 31, "x" * 54])
def test_long_names_are_cut_and_stay_apart(name: str) -> None:
    made = {new_name(name), old_name(name), new_name(name[:-1] + "y"), old_name(name[:-1] + "y")}

    assert len(made) == 4
    assert all(len(one.encode()) <= MAX_NAME for one in made)
    assert new_name(name) == new_name(name)


def test_names_that_fit_to_the_byte_are_whole() -> None:
    assert new_name("x" * 53) == "x" * 53 + "_dbopt_new"


def test_a_partitions_name_depends_on_the_name_and_the_meaning() -> None:
    other = replace(WANTED, keys=(IndexKey("id"),))
    made = leaf_name(WANTED, "users_2026")

    assert made.startswith("users_2026_")
    assert made == leaf_name(WANTED, "users_2026")
    assert 3 == len({made, leaf_name(other, "users_2026"), leaf_name(WANTED, "users_2027")})
    assert made != leaf_name(replace(WANTED, name="other"), "users_2026")
    assert len(leaf_name(WANTED, "ü" * 31).encode()) <= MAX_NAME


def test_partitions_with_long_names_that_begin_alike_have_a_name_each() -> None:
    start = "measurements_of_the_temperature_of_all_engines_by_month"
    made = {leaf_name(WANTED, f"{start}_{month}") for month in range(1, 13)}

    assert len(made) == 12


@pytest.mark.parametrize(
    ("name", "expected"), [("a_ccnew", True), ("a_ccold12", True), ("ccnew", False), ("a", False)]
)
def test_what_a_failed_reindex_leaves(name: str, expected: bool) -> None:
    assert is_reindex_leftover(name) is expected
