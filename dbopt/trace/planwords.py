"""What differs between two plans, and whether that is a change worth telling. PURE."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any

from dbopt.pg.plan import MAX_DEPTH

_MOST = 3
_DIGITS = re.compile(r"[0-9]+")
_GIVEN = re.compile(r"(.*?)((?:(?:idx|key|pkey|excl)[0-9]*|[0-9]*))", re.DOTALL)
"""An index's name, and its end by which PostgreSQL tells it from others of the same columns."""
_UNKNOWN = "another shape (the nodes of the plan before are not known)"


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """How `new` differs from `old`, both EXPLAIN's JSON (an object with "Plan").

    Such as "public.users: Seq Scan instead of Index Scan using users_email". Costs are no
    difference, and conditions are not looked at, so that no literal can be in it.
    """
    if "Plan" not in old or "Plan" not in new:
        return _UNKNOWN
    before, after = _labels(old["Plan"]), _labels(new["Plan"])
    words = [*_relations(before, after)] or [*_others(before, after)]
    if not words:
        return "the same nodes in another order"
    shown = "; ".join(words[:_MOST])
    return shown if len(words) <= _MOST else f"{shown}; and {len(words) - _MOST} more"


def essence(plan: Mapping[str, Any]) -> str:
    """What makes a plan (EXPLAIN's JSON) another: 16 hex digits, "" for none.

    Unlike the shape it is the same whichever partitions are read, and how many of them; and
    whichever schema or session's temporary table a relation is in: for tenants with a schema each
    a statement has one fingerprint. Partitions are told by the digits in their names.
    """
    if "Plan" not in plan:
        return ""
    return blake2b(_essence(plan["Plan"], 0).encode(), digest_size=8).hexdigest()


def _essence(node: Mapping[str, Any], depth: int) -> str:
    own = [str(node.get(name, "")) for name in ("Node Type", "Join Type")]
    own.append(_DIGITS.sub("#", str(node.get("Relation Name", ""))))
    index = _GIVEN.fullmatch(str(node.get("Index Name", "")))
    own.append(_DIGITS.sub("#", index[1]) + index[2] if index else "")
    children = node.get("Plans", ()) if depth < MAX_DEPTH else ()
    below = [_essence(child, depth + 1) for child in children]
    if own[0] in ("Append", "Merge Append"):
        below = sorted(set(below))
        if len(below) == 1:
            return below[0]  # Of a single partition the planner leaves the Append out.
    return f"({'|'.join(own)}{''.join(below)})"


_Labels = dict[str, Counter[str]]
"""What is done to each relation, and, under "", the nodes that read none."""


def _labels(plan: Mapping[str, Any]) -> _Labels:
    found: _Labels = {}
    for relation, node in _walk(plan, "", 0):
        found.setdefault(relation, Counter())[_label(node)] += 1
    return found


def _walk(
    node: Mapping[str, Any], above: str, depth: int
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    relation = _relation(node)
    if not relation and node.get("Node Type") in ("Bitmap Index Scan", "BitmapAnd", "BitmapOr"):
        relation = above  # a bitmap is of the table that is read by it
    yield relation, node
    if depth < MAX_DEPTH:
        for child in node.get("Plans", ()):
            yield from _walk(child, relation, depth + 1)


def _relation(node: Mapping[str, Any]) -> str:
    name, schema = str(node.get("Relation Name", "")), str(node.get("Schema", ""))
    return f"{schema}.{name}" if schema and name else name


def _label(node: Mapping[str, Any]) -> str:
    label = str(node.get("Node Type", "a node"))
    if node.get("Join Type", "Inner") != "Inner":
        label += f" ({node['Join Type']})"
    return f"{label} using {node['Index Name']}" if "Index Name" in node else label


def _relations(before: _Labels, after: _Labels) -> Iterator[str]:
    for relation in sorted({*before, *after} - {""}):
        gone = before.get(relation, Counter())
        come = after.get(relation, Counter())
        if not gone:
            yield f"{relation} is read now, by {_names(come)}"
        elif not come:
            yield f"{relation} is not read any more"
        elif gone != come:
            yield f"{relation}: {_instead(gone, come)}"


def _others(before: _Labels, after: _Labels) -> Iterator[str]:
    gone, come = before.get("", Counter()), after.get("", Counter())
    if gone != come:
        yield _instead(gone, come)


def _instead(gone: Counter[str], come: Counter[str]) -> str:
    lost, won = gone - come, come - gone
    if not won:
        return f"no {_names(lost)} any more"
    if not lost:
        return f"{_names(won)} as well"
    return f"{_names(won)} instead of {_names(lost)}"


def _names(labels: Counter[str]) -> str:
    return " and ".join(sorted(labels))
