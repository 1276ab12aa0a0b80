"""Long texts: what is behind their beginning counts."""

from __future__ import annotations

import time

import pytest

from dbopt.guard.longtext import Skimmed, skim
from dbopt.guard.policy import decide
from dbopt.guardsettings import GuardRules
from dbopt.sql.parse import LONGEST_PARSED, LONGEST_READ
from tests.unit.guard.made import query

PAD = f"/* {'x' * LONGEST_READ} */"
LITERAL = f"'{'x' * LONGEST_READ}'"
ROWS = ", ".join(f"({n}, 'an update, to delete from create')" for n in range(8000))
NO_LIMIT = GuardRules(max_complexity=0)
NO_DDL = GuardRules(max_complexity=0, unqualified_writes="allow", ddl="refuse")


@pytest.mark.parametrize(
    "text",
    [
        f"{PAD} DELETE FROM t", f"SELECT 1; {PAD} DELETE FROM t", f"DELETE FROM t {PAD}",
        f"SELECT {LITERAL}; UPDATE t SET a = 1", f"BEGIN; {PAD} UPDATE t SET a = 1 WHERE true",
        f"PREPARE p AS {PAD} DELETE FROM t", f"EXPLAIN ANALYZE {PAD} DELETE FROM t",
        f"WITH x AS (SELECT {LITERAL}), y AS (DELETE FROM t RETURNING 1) SELECT 1",
        f"COPY ({PAD} DELETE FROM t RETURNING *) TO STDOUT", f"UPDATE t SET a = {LITERAL}",
    ],
    ids=range(10),
)  # fmt: skip
def test_a_write_of_a_whole_table(text: str) -> None:
    assert "unqualified-write" == decide(query(text), NO_LIMIT).rule


@pytest.mark.parametrize(
    "text",
    [
        f"UPDATE t SET a = {LITERAL} WHERE id = 1", f"DELETE FROM t WHERE a = {LITERAL}",
        f"INSERT INTO t VALUES ({LITERAL}, 'UPDATE t SET a = 1')", f"INSERT INTO t VALUES {ROWS}",
        f"SELECT 1 {PAD}", f"SELECT 'DELETE FROM t' || {LITERAL}",
    ],
    ids=range(6),
)  # fmt: skip
def test_what_says_which_rows(text: str) -> None:
    assert not decide(query(text), NO_LIMIT).refused
    assert not decide(query(text), NO_DDL).refused


@pytest.mark.parametrize("pad", [PAD, f"SELECT {LITERAL};", f"/* {'x' * LONGEST_PARSED} */"])
@pytest.mark.parametrize(
    "text",
    [
        "DROP TABLE t", "CREATE TABLE t AS SELECT 1", "GRANT SELECT ON t TO u", "TRUNCATE t",
        "SELECT 1 INTO t", "EXPLAIN ANALYZE CREATE TABLE t AS SELECT 1", "DO 'BEGIN END'",
        "PREPARE p AS SELECT 1 INTO t", "COMMENT ON TABLE t IS 'x'",
    ],
)  # fmt: skip
def test_ddl_behind_a_long_beginning(pad: str, text: str) -> None:
    assert "ddl" == decide(query(f"{pad} {text}"), NO_DDL).rule


def test_of_harmless_words_nothing_is_split() -> None:
    started = time.process_time()
    assert Skimmed(False, False) == skim("SELECT 1" + "+1" * 500_000)
    assert time.process_time() - started < 1.0
    assert Skimmed(False, False) == skim("SELECT document, window, intosh" + " " * 10)
