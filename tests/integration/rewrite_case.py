"""A statement that a rule rewrites, for test_sql_rewrites.py."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Case:
    """The rule that rewrites it, and whether the order of its rows is to be the same too.

    It is read with the tables of tests/unit/sql/rules/sample.py; `parameters` are for $1, $2.
    """

    rule: str
    sql: str
    parameters: tuple[object, ...] = ()
    ordered: bool = False
