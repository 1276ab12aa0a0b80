"""Plan: what EXPLAIN (FORMAT JSON, VERBOSE) says, as a tree. PURE.

Source: PostgreSQL's documentation, "Using EXPLAIN"; src/backend/commands/explain.c.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from typing import Any

from dbopt.pg.shown import printable
from dbopt.sql.query import Relation
from dbopt.sql.redact import redact

MAX_DEPTH = 200
"""Nodes deeper than this are left out: a generated statement must not end our recursion."""

# What may be shown as it is: names and modes that come from the catalog and from the planner.
_STRUCTURE = frozenset(
    {
        "Node Type",
        "Strategy",
        "Partial Mode",
        "Join Type",
        "Scan Direction",
        "Index Name",
        "Relation Name",
        "Schema",
        "Alias",
        "Parent Relationship",
        "Subplan Name",
        "Operation",
        "Command",
        "CTE Name",
        "Function Name",
        "Sort Method",
        "Sort Space Type",
        "Cache Mode",
        "Custom Plan Provider",
        "Conflict Resolution",
        "Trigger Name",
        "Constraint Name",
    }
)
# The columns of each node: long, and nothing that a reader of plans looks for.
_LEFT_OUT = frozenset({"Output"})
_DETAILS = (
    "Index Cond",
    "Recheck Cond",
    "Hash Cond",
    "Merge Cond",
    "Join Filter",
    "Filter",
    "One-Time Filter",
    "TID Cond",
    "Order By",
    "Sort Key",
    "Presorted Key",
    "Group Key",
)


@dataclass(frozen=True, slots=True)
class PlanNode:
    """One node. Costs are the planner's units; `actual_ms` and `actual_rows` are one loop's,
    and None without ANALYZE. `details` are conditions and keys, by EXPLAIN's own names."""

    type: str
    startup_cost: float
    total_cost: float
    rows: float
    width: int
    relation: Relation | None = None
    index: str = ""
    join: str = ""
    details: tuple[tuple[str, str], ...] = ()
    actual_ms: float | None = None
    actual_rows: float | None = None
    loops: int = 1
    children: tuple[PlanNode, ...] = ()

    def walk(self, depth: int = 0) -> Iterator[tuple[int, PlanNode]]:
        """The node and all below it, in EXPLAIN's order, each with its depth."""
        yield depth, self
        for child in self.children:
            yield from child.walk(depth + 1)


@dataclass(frozen=True)
class Plan:
    """A statement's plan. `json` is the server's document, its constants replaced by `$n`."""

    root: PlanNode
    json: dict[str, Any] = field(repr=False)

    @property
    def total_cost(self) -> float:
        """The planner's estimate for the whole, in its cost units."""
        return self.root.total_cost

    @cached_property
    def nodes(self) -> tuple[PlanNode, ...]:
        """Every node, in EXPLAIN's order."""
        return tuple(node for _, node in self.root.walk())

    @cached_property
    def indexes(self) -> frozenset[str]:
        """Names of the indexes that it reads."""
        return frozenset(node.index for node in self.nodes if node.index)

    @cached_property
    def seq_scans(self) -> frozenset[Relation]:
        """Relations that it reads from end to end."""
        scans = (node.relation for node in self.nodes if node.type == "Seq Scan")
        return frozenset(relation for relation in scans if relation)

    @cached_property
    def shape(self) -> str:
        """16 hex digits that change when a node's type, relation or index does, not its costs."""
        lines = (
            f"{depth}|{node.type}|{node.join}|{node.relation or ''}|{node.index}"
            for depth, node in self.root.walk()
        )
        return blake2b("\n".join(lines).encode(), digest_size=8).hexdigest()

    def text(self) -> str:
        """The tree for a terminal: a line a node, its conditions below it."""
        lines = (line for depth, node in self.root.walk() for line in node_lines(depth, node))
        return "\n".join(map(printable, lines))


def parse_plan(document: Any) -> Plan:
    """The plan in EXPLAIN's JSON (a list of one object), without the statement's constants.

    Raises ValueError when it is no such document.
    """
    try:
        shown = redacted(document[0])
        return Plan(_node(shown["Plan"], 0), shown)
    except (KeyError, IndexError, TypeError, AttributeError):
        raise ValueError(f"not a plan in JSON: {type(document).__name__}") from None


def redacted(value: Any, key: str = "", depth: int = 0) -> Any:
    """The same JSON with every string redacted that may hold a part of the statement."""
    if isinstance(value, str):
        return value if key in _STRUCTURE else redact(value)
    # A node is two deeper than its parent: an object in a list, in the document's object.
    if depth > 2 * MAX_DEPTH + 1:
        return None
    if isinstance(value, list):
        return [redacted(item, key, depth + 1) for item in value]
    if isinstance(value, dict):
        return {k: redacted(v, k, depth + 1) for k, v in value.items() if k not in _LEFT_OUT}
    return value


def _node(plan: Mapping[str, Any], depth: int) -> PlanNode:
    below = plan.get("Plans", ()) if depth < MAX_DEPTH else ()
    return PlanNode(
        type=plan["Node Type"],
        startup_cost=plan["Startup Cost"],
        total_cost=plan["Total Cost"],
        rows=plan["Plan Rows"],
        width=plan["Plan Width"],
        relation=_relation(plan),
        index=plan.get("Index Name", ""),
        join=plan.get("Join Type", ""),
        details=tuple((key, _joined(plan[key])) for key in _DETAILS if key in plan),
        actual_ms=plan.get("Actual Total Time"),
        actual_rows=plan.get("Actual Rows"),
        loops=plan.get("Actual Loops", 1),
        children=tuple(_node(child, depth + 1) for child in below),
    )


def _relation(plan: Mapping[str, Any]) -> Relation | None:
    name = plan.get("Relation Name")
    return Relation(plan.get("Schema", ""), name) if name else None


def _joined(value: str | list[str]) -> str:
    return value if isinstance(value, str) else ", ".join(value)


def node_lines(depth: int, node: PlanNode) -> Iterator[str]:
    """A node's own lines of `Plan.text`: what it is, then its conditions."""
    indent = "   " * (depth - 1) + "└─ " if depth else ""
    yield f"{indent}{_title(node)}  ({_figures(node)})"
    for key, value in node.details:
        yield f"{'   ' * depth}     {key}: {value}"


def _title(node: PlanNode) -> str:
    title = node.type
    if node.join not in ("", "Inner"):
        title += f" ({node.join})"
    if node.index:
        title += f" using {node.index}"
    return f"{title} on {node.relation}" if node.relation else title


def _figures(node: PlanNode) -> str:
    estimate = f"cost {node.total_cost:.2f}, rows {node.rows:.0f}"
    if node.actual_ms is None:
        return estimate
    return f"{estimate}; actual {node.actual_ms:.3f} ms, rows {node.actual_rows:g} x {node.loops}"
