from __future__ import annotations

import pytest
from psycopg import sql

from dbopt.inprocess.route import comment, commented, current, route
from dbopt.sql.tags import tags


def test_the_innermost_route_counts_and_ends() -> None:
    with route("a"):
        with route("b"):
            assert "b" == current.get()
        assert "a" == current.get()
    assert "" == current.get()
    with route("x" * 1000):
        assert 200 == len(current.get())


@pytest.mark.parametrize("name", ["GET /a/{b}", "it's", "*/ DROP TABLE t; --", "ü%s"])
def test_a_comment_is_read_as_it_was_meant_and_closes_nothing(name: str) -> None:
    text = f"SELECT 1 {comment(name)}"
    assert {"route": name} == tags(text)
    assert 1 == text.count("*/")


def test_a_name_that_utf_8_cannot_hold() -> None:
    with route("/caf\udce9"):
        assert "/caf?" == current.get()


def test_of_any_type() -> None:
    tail = "/*route='a%20b'*/"
    assert f"SELECT 1 {tail}" == commented("SELECT 1", "a b", False)
    assert f"SELECT %s {tail}".replace("%2", "%%2") == commented("SELECT %s", "a b", True)
    assert f"SELECT 1 {tail}".encode() == commented(b"SELECT 1", "a b", False)
    composed = commented(sql.SQL("SELECT 1"), "a b", False)
    assert f"SELECT 1 {tail}" == composed.as_string(None)


@pytest.mark.parametrize("query", ["SELECT 1 /* mine */", "SELECT 1 -- x", b"SELECT 1 -- x", 7])
def test_what_has_a_comment_is_left_as_it_is(query: object) -> None:
    assert query is commented(query, "a", False)
