from __future__ import annotations

import io

from rich.console import Console

from dbopt.cli.queryplan import Note, notes, show_plan
from dbopt.pg.plan import Plan, PlanNode
from dbopt.sql.query import Relation
from dbopt.sql.schema import Schema, SchemaRelation

BIG, SMALL = Relation("public", "big"), Relation("public", "small")
SCHEMA = Schema({BIG: SchemaRelation(BIG, rows=50_000), SMALL: SchemaRelation(SMALL, rows=50)})


def _scan(relation: Relation, rows: float, actual: float | None = None, loops: int = 1) -> PlanNode:
    return PlanNode(
        "Seq Scan", 0.0, 10.0, rows, 4, relation,
        actual_ms=None if actual is None else 1.0, actual_rows=actual, loops=loops,
    )  # fmt: skip


def _plan(*children: PlanNode) -> Plan:
    return Plan(PlanNode("Append", 0.0, 100.0, 10, 4, children=children), {})


def test_a_sequential_scan_of_a_big_table_is_noted() -> None:
    filtered = PlanNode("Seq Scan", 0, 10, 7, 4, BIG, details=(("Filter", "(a = $1)"),))
    assert [
        Note(1, "Reads all 50000 rows of public.big."),
        Note(3, "Reads all 50000 rows of public.big to give 7."),
    ] == notes(_plan(_scan(BIG, 9), _scan(SMALL, 9), filtered), SCHEMA)
    assert [] == notes(_plan(_scan(Relation("x", "unknown"), 9)), SCHEMA)


def test_what_was_estimated_wrong_is_noted() -> None:
    found = notes(
        _plan(
            _scan(SMALL, 10, 5000),
            _scan(SMALL, 5000, 0),
            _scan(SMALL, 1, 50),  # too few to matter
            _scan(SMALL, 900, 1000),
            _scan(SMALL, 1000, 0, loops=0),  # never ran
        ),
        SCHEMA,
    )
    assert [
        Note(
            1,
            "Seq Scan on public.small: 10 rows expected, 5000 came (500 times off). "
            "ANALYZE may help.",
            True,
        ),
        Note(
            2,
            "Seq Scan on public.small: 5000 rows expected, 0 came (5000 times off). "
            "ANALYZE may help.",
            True,
        ),
    ] == found


def test_the_tree_and_its_notes_are_shown() -> None:
    shown = io.StringIO()
    plan = _plan(_scan(BIG, 9))
    show_plan(Console(file=shown, width=100), plan, notes(plan, SCHEMA))
    assert [
        "  Append  (cost 100.00, rows 10)",
        "  └─ Seq Scan on public.big  (cost 10.00, rows 9)",
        "  Cost 100.00.",
        "  Reads all 50000 rows of public.big.",
    ] == shown.getvalue().splitlines()
