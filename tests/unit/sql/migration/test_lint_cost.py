"""What the migration lint costs at worst: CPU seconds, with room for a slow machine."""

from __future__ import annotations

import random
from time import process_time

import pytest

from dbopt.sql.ddl import read
from dbopt.sql.migration import RULES
from dbopt.sql.migration.lint import lint_migration

MEGABYTE = 1_000_000
MOST_SECONDS = 2.5
"""A sixteenth of a megabyte takes 0.5 at most where nobody else works; twice that has been seen
in a process that other tests had filled."""
HOSTILE = {
    "brackets": ("CREATE TABLE t (", "(", ""),
    "cases": ("CREATE TABLE t (a int DEFAULT ", "case ", ")"),
    "names": ("DROP TABLE a", ", s.t", ""),
    "unlike tables": ("BEGIN;", "ALTER TABLE s.t SET LOGGED;", ""),
    "statements": ("", "a;", ""),
    "settings": ("", "SET a = 1;", ""),
    "markers": ("", "-- dbopt:ignore all\n-- squawk-ignore a, b\n", "DROP TABLE t"),
    "marker after marker": ("", "DROP TABLE t; -- dbopt:ignore all x\n", ""),
    "do blocks": ("", "DO $$BEGIN DROP TABLE t; END$$;", ""),
    "statements of a block": ("DO $$BEGIN ", "IF a THEN DROP TABLE t;", "END$$"),
    "cases of a block": ("DO $$BEGIN ", "CASE ", "END$$"),
    "unread": ("", "ALTER TABLE t ADD;", ""),
}


@pytest.mark.parametrize(("before", "part", "after"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_part_of_a_hostile_megabyte_costs_little(before: str, part: str, after: str) -> None:
    text = before + part * (MEGABYTE // 16 // len(part)) + after
    started = process_time()
    lint_migration(text, rules=RULES)

    assert process_time() - started < MOST_SECONDS


def test_a_chain_of_functions_and_code_in_code_cost_little() -> None:
    made = "CREATE FUNCTION f{}() RETURNS void LANGUAGE sql AS 'SELECT f{}()';"
    chain = "".join(made.format(at, at + 1) for at in range(2000)) + "SELECT f0()"
    nested = ""
    for at in range(1500):
        nested = f"DO $a{at}$BEGIN EXECUTE $b{at}${nested}$b{at}$;END$a{at}$"
    started = process_time()
    lint_migration(chain, rules=RULES)
    lint_migration(nested, rules=RULES)

    assert process_time() - started < MOST_SECONDS


def test_what_was_not_read_is_told() -> None:
    found = lint_migration("SELECT 1; " + " " * MEGABYTE)
    assert [("unread", False)] == [(one.rule, one.examined) for one in found]


def test_no_mutation_of_ddl_makes_it_raise() -> None:
    pieces = [text for rule in RULES for text in (rule.fires, rule.passes)]
    words = " ".join(pieces).replace("(", " ( ").replace(",", " , ").split(" ")
    chance = random.Random(6)  # noqa: S311 - the same mutations each time
    for _ in range(500):
        text = chance.choice(pieces)
        for _ in range(chance.randrange(1, 4)):
            at, end = sorted((chance.randrange(len(text) + 1), chance.randrange(len(text) + 1)))
            kept = chance.choice(("", text[at:end], f" {chance.choice(words)} ", "\x00", '"', "'"))
            text = text[:at] + kept + text[end:]
        for statement in read(text):
            assert text[statement.start : statement.end] == statement.sql
            at, end = statement.does.at
            assert (statement.start, statement.end) == (at, end)
        for finding in lint_migration(text, rules=RULES):
            assert finding.message
            assert finding.evidence["line"] <= finding.evidence["end_line"]
