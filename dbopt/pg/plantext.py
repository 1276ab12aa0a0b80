"""A plan in EXPLAIN's text format, as the server's log has it, made into EXPLAIN's JSON. PURE.

Names are as in the JSON, so that a plan has the same shape in both. Source: PostgreSQL's
src/backend/commands/explain.c, ExplainNode.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

MAX_LINES = 20_000
_COST = "  (cost="
_NODE = re.compile(
    r"(?:-> +)?(.+?)  \(cost=([0-9.]+)\.\.([0-9.]+) rows=([0-9]+) width=([0-9]+)\)"
    r"(?: \((?:actual (?:time=([0-9.]+)\.\.([0-9.]+) )?rows=([0-9.]+) loops=([0-9]+)"
    r"|never executed)\))?"
)
_NAME = r'"(?:[^"]|"")*"|[^\s".]+'
_RELATION = re.compile(rf"(?:({_NAME})\.)?({_NAME})(?: .*)?")
_JOIN = re.compile(
    r"(Hash|Merge|Nested Loop)(?: (Left|Right|Full|Semi|Anti|Right Anti|Right Semi))?"
)
_DETAIL = re.compile(r"^ *([A-Z][A-Za-z0-9 -]{2,20}): (.*)")
_DETAILS = frozenset(
    (
        "Index Cond", "Recheck Cond", "Hash Cond", "Merge Cond", "Join Filter", "Filter",
        "One-Time Filter", "TID Cond", "Order By", "Sort Key", "Presorted Key", "Group Key",
    )
)  # fmt: skip
_PREFIXES = ("Parallel ", "Partial ", "Finalize ", "Async ")
_AGGREGATES = ("HashAggregate", "GroupAggregate", "MixedAggregate")
_WRITES = ("Insert", "Update", "Delete", "Merge")
_SCANS = frozenset(
    (
        "Seq Scan", "Sample Scan", "Index Scan", "Index Only Scan", "Bitmap Heap Scan", "Tid Scan",
        "Tid Range Scan", "Foreign Scan", "Custom Scan", "ModifyTable",
    )
)  # fmt: skip
_NAMES = {"Nested Loop": "Nested Loop", "Hash": "Hash Join", "Merge": "Merge Join"}


def document(lines: Sequence[str]) -> list[dict[str, Any]]:
    """EXPLAIN's JSON (for plan.parse_plan) of the lines of a plan; other lines are passed over.

    Raises ValueError where no line is a node.
    """
    stack: list[tuple[int, dict[str, Any]]] = []
    root: dict[str, Any] | None = None
    within = False
    for line in lines[:MAX_LINES]:
        # What follows a line break within a constant is the constant's, whatever it looks like.
        if within or not is_node(line):
            odd = line.count("'") % 2 == 1
            if not within:
                _detail(line, stack[-1][1] if stack else {})
            within ^= odd
            continue
        found = _NODE.match(bare := line.lstrip(" "))
        assert found is not None  # noqa: S101 - is_node has said so
        node = _node(found)
        indent = len(line) - len(bare) if root is not None else -1
        while stack and stack[-1][0] >= indent:
            stack.pop()
        if root is None:
            root = node
        elif stack:
            stack[-1][1].setdefault("Plans", []).append(node)
        else:
            break  # a second plan: there is none in one entry
        stack.append((indent, node))
    if root is None:
        raise ValueError("no line of it is a plan's node")
    return [{"Plan": root}]


def is_node(line: str) -> bool:
    """Whether a line is a node's."""
    return _COST in line and _NODE.match(line.lstrip(" ")) is not None


def _node(found: re.Match[str]) -> dict[str, Any]:
    title, startup, total, rows, width, _, actual, actual_rows, loops = found.groups()
    node: dict[str, Any] = _titled(title) | {
        "Startup Cost": float(startup),
        "Total Cost": float(total),
        "Plan Rows": int(rows),
        "Plan Width": int(width),
    }
    if actual is not None:
        node["Actual Total Time"] = float(actual)
    if actual_rows is not None:
        node |= {"Actual Rows": float(actual_rows), "Actual Loops": int(loops)}
    return node


def _titled(title: str) -> dict[str, Any]:
    """Node type, index, relation and join of a node's title."""
    for prefix in _PREFIXES:
        title = title.removeprefix(prefix)
    kind, _, relation = title.partition(" on ")
    kind, _, index = kind.partition(" using ")
    kind = kind.removesuffix(" Backward")
    if kind.startswith("Custom Scan"):
        kind = "Custom Scan"
    if kind in _WRITES and relation:
        kind = "ModifyTable"
    if kind in _AGGREGATES:
        kind = "Aggregate"
    if kind == "Bitmap Index Scan":
        index, relation = relation, ""
    node: dict[str, Any] = {"Node Type": kind}
    if index:
        node["Index Name"] = _unquoted(index)
    if relation and kind in _SCANS:
        node |= _relation(relation)
    return node | _joined(kind)


def _joined(kind: str) -> dict[str, str]:
    if not (kind.endswith(" Join") or kind == "Nested Loop"):
        return {}
    found = _JOIN.fullmatch(kind.removesuffix(" Join"))
    if found is None:
        return {}
    return {"Node Type": _NAMES[found[1]], "Join Type": found[2] or "Inner"}


def _relation(text: str) -> dict[str, str]:
    found = _RELATION.fullmatch(text)
    if found is None:
        return {}
    schema = {"Schema": _unquoted(found[1])} if found[1] else {}
    return schema | {"Relation Name": _unquoted(found[2])}


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _detail(line: str, node: dict[str, Any]) -> None:
    found = _DETAIL.match(line)
    if found is not None and found[1] in _DETAILS:
        node.setdefault(found[1], found[2])
