"""A plan as `dbopt query explain` shows it, with what to look at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from dbopt.pg.plan import Plan, PlanNode, node_lines
from dbopt.pg.shown import printable
from dbopt.sql.schema import Schema

BIG = 10_000
"""Rows from which on a sequential scan is worth a look."""
WRONG = 10.0
"""How many times more or fewer rows than expected make a misestimate."""

_FEW = 100
"""Rows. Below that a misestimate changes no plan."""


@dataclass(frozen=True, slots=True)
class Note:
    """What is worth a look at one node; `grave` is what the planner got wrong."""

    node: int
    text: str
    grave: bool = False


def notes(plan: Plan, schema: Schema) -> list[Note]:
    """Sequential scans of big tables, and estimates that were wrong (where it was run)."""
    return [
        note
        for number, node in enumerate(plan.nodes)
        for note in (*_scan(number, node, schema), *_misestimate(number, node))
    ]


def show_plan(console: Console, plan: Plan, found: list[Note]) -> None:
    """The tree, with the nodes that have notes in colour, and the notes."""
    grave = {note.node: note.grave for note in sorted(found, key=lambda note: note.grave)}
    for number, (depth, node) in enumerate(plan.root.walk()):
        style = {True: "red", False: "yellow"}.get(grave[number]) if number in grave else None
        first, *rest = node_lines(depth, node)
        console.print(Text(f"  {printable(first)}", style=style or ""), soft_wrap=True)
        for line in rest:
            console.print(Text(f"  {printable(line)}", style="dim"), soft_wrap=True)
    console.print(f"  Cost {plan.total_cost:.2f}.")
    for note in found:
        style = "red" if note.grave else "yellow"
        console.print(Text(f"  {printable(note.text)}", style=style), soft_wrap=True)


def _scan(number: int, node: PlanNode, schema: Schema) -> Iterator[Note]:
    if node.type not in ("Seq Scan", "Parallel Seq Scan") or node.relation is None:
        return
    known = schema.find(node.relation)
    rows = known.rows if known else 0.0
    if rows >= BIG:
        gives = f" to give {node.rows:.0f}" if dict(node.details).get("Filter") else ""
        yield Note(number, f"Reads all {rows:.0f} rows of {node.relation}{gives}.")


def _misestimate(number: int, node: PlanNode) -> Iterator[Note]:
    if node.actual_rows is None or not node.loops:
        return
    expected, actual = max(1.0, node.rows), max(1.0, node.actual_rows)
    factor = max(expected / actual, actual / expected)
    if factor >= WRONG and max(expected, actual) >= _FEW:
        where = f"{node.type} on {node.relation}" if node.relation else node.type
        words = f"{where}: {node.rows:.0f} rows expected, {node.actual_rows:.0f} came"
        yield Note(number, f"{words} ({factor:.0f} times off). ANALYZE may help.", grave=True)
