from __future__ import annotations

import pytest

from dbopt.sql.ddl.model import Block, CreateTable, Drop, Other, Setting, Transaction, Unread
from dbopt.sql.ddl.script import opened, read


def run(text: str) -> list[tuple[str, str]]:
    """What runs, in its order, with the code that it is in."""
    found = read(text)
    assert all(text[one.start : one.end] == one.sql for one in found)
    return [(one.sql, one.within.name if one.within else "") for one in found]


def test_the_statements_of_a_do_block_follow_it() -> None:
    text = "SELECT 1; DO $$ BEGIN DROP TABLE a; END $$; DROP TABLE b"
    assert ["", "", "a DO block", ""] == [within for _, within in run(text)]
    assert [1, 2, 2, 3] == [one.number for one in read(text)]
    block, drop = read(text)[1:3]
    assert isinstance(block.does, Block)
    assert block.does.examined
    assert drop.within is not None
    assert drop.within.holder is drop.within.caller is block


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("SELECT a INTO b FROM c", Other),
        ("b := 1", Other),
        ("lock.a = 1", Other),
        ("PERFORM set_config('lock_timeout', '1s', true)", Setting),
        ("COMMIT AND CHAIN", Transaction),
        ("CREATE TABLE b (a text)", CreateTable),
        ("DROP", Unread),
    ],
)
def test_statements_mean_what_they_mean_in_a_block(statement: str, kind: type) -> None:
    (_, inner) = read(f"DO $$ BEGIN {statement}; END $$")
    assert isinstance(inner.does, kind)


def test_a_string_that_is_executed() -> None:
    block, constant, drop, built = read(
        "DO $$ BEGIN EXECUTE 'DROP TABLE a'; EXECUTE format('DROP TABLE %I', b); END $$"
    )
    assert isinstance(constant.does, Block)
    assert isinstance(built.does, Block)
    assert (True, False) == (constant.does.examined, built.does.examined)
    assert isinstance(drop.does, Drop)
    assert drop.within is not None
    assert (constant, block) == (drop.within.holder, drop.within.holder.within.holder)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("execute", "runs"),
    [
        ("EXECUTE 'DROP TABLE a' USING b", ["DROP TABLE a"]),
        ("EXECUTE $q$DELETE FROM a$q$ INTO STRICT b", ["DELETE FROM a"]),
        ("EXECUTE 'DROP TABLE ' || a", []),
        ("EXECUTE 'DROP TABLE ' 'a'", []),
        ("EXECUTE $1", []),
        ("EXECUTE $1 USING b", []),
        ("EXECUTE a", []),
        ("EXECUTE", []),
    ],
)
def test_what_execute_runs_is_a_constant_or_unknown(execute: str, runs: list[str]) -> None:
    _, block, *inner = read(f"DO $$ BEGIN {execute}; END $$")
    assert isinstance(block.does, Block)
    assert (bool(runs), runs) == (block.does.examined, [one.sql for one in inner])


def test_a_table_may_have_the_name_of_a_triggers_function() -> None:
    made = "CREATE FUNCTION log() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN DELETE FROM a; END$$"
    assert ["", ""] == [within for _, within in run(f"{made}; INSERT INTO log (b) VALUES (1)")]


def test_a_function_runs_where_it_is_called_first() -> None:
    text = """
        CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN DROP TABLE a; END $$;
        CREATE FUNCTION "G"() RETURNS void LANGUAGE sql AS 'DROP TABLE b; SELECT f()';
        CREATE TRIGGER t BEFORE UPDATE ON u EXECUTE FUNCTION f();
        COMMENT ON FUNCTION f() IS 'x';
        SELECT "G"();
        SELECT f();
        DROP FUNCTION f();
    """
    assert ["G()", "f()"] == sorted({within for _, within in run(text)} - {""})
    order = [sql for sql, _ in run(text)]
    assert ['SELECT "G"()', "DROP TABLE b", "SELECT f()", "DROP TABLE a"] == order[4:8]
    dropped = read(text)[7]
    assert dropped.within is not None
    assert (1, "SELECT f()") == (dropped.within.holder.number, dropped.within.caller.sql)


def test_what_is_not_called_is_not_run() -> None:
    text = "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'DROP TABLE a'; SELECT g()"
    assert [""] * 2 == [within for _, within in run(text)]


@pytest.mark.parametrize(
    "text",
    [
        "DO $$ BEGIN DROP TABLE a; $$",
        "DO LANGUAGE plpython3u $$ drop() $$",
        "DO 'BEGIN it''s; END'",
        "CALL p()",
    ],
)
def test_a_block_that_is_not_examined(text: str) -> None:
    (block,) = read(text)
    assert isinstance(block.does, Block)
    assert not block.does.examined


def test_code_in_code_in_code_is_left() -> None:
    text = "DO $a$ BEGIN EXECUTE $b$ DO $c$ BEGIN DROP TABLE t; END $c$ $b$; END $a$"
    assert ["", "a DO block", "EXECUTE"] == [within for _, within in run(text)]


def test_opened_code_reads_as_code() -> None:
    text = "DO $$ BEGIN\n-- why\nEXECUTE 'DROP TABLE a'; END $$;\nSELECT '$$ x'"
    shown = opened(text, read(text))
    assert "DO    BEGIN\n-- why\nEXECUTE  DROP TABLE a ; END   ;\nSELECT '$$ x'" == shown
    assert "SELECT 1" == opened("SELECT 1", read("SELECT 1"))
