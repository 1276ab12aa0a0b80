"""How dear a statement may be, from its text alone: a score with its reasons.

The rule is the seed's query guard, fields + 10 for each level of nesting, refused above 100,
grown over the SQL tree. It knows no table sizes: it judges shape. Costs are the planner's to say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlglot import exp

from dbopt.sql.classify import Judged, judge
from dbopt.sql.lexer import Lexeme, Token
from dbopt.sql.query import Complexity, Kind, Reason
from dbopt.sql.shape import (
    comma_joins,
    compares_function_of_column,
    has_equality,
    is_aggregate_row,
    is_correlated,
    join_kind,
    leading_wildcard,
    mixes_columns,
    reads_table,
)

DEFAULT_LIMIT = 100

WEIGHTS: dict[str, tuple[int, str]] = {
    "field": (1, "field"),
    "depth": (10, "level of nesting"),
    "join": (5, "join"),
    "many joins": (4, "join beyond the third"),
    "outer join": (7, "outer join"),
    "lateral join": (5, "lateral join"),
    "cross join": (25, "cross join"),
    "subquery": (3, "subquery"),
    "correlated subquery": (12, "correlated subquery"),
    "cte": (3, "common table expression"),
    "recursive": (20, "recursive query"),
    "set operation": (5, "set operation"),
    "aggregate": (2, "aggregate"),
    "window": (5, "window function"),
    "distinct": (5, "DISTINCT"),
    "sort": (4, "ORDER BY without LIMIT"),
    "or": (5, "OR across columns"),
    "wildcard": (8, "LIKE with a leading wildcard"),
    "function": (5, "function of a column in a predicate"),
    "no where": (10, "whole table: no WHERE and no LIMIT"),
    "write without where": (40, "write of a whole table: no WHERE"),
    "long list": (5, "twenty constants in an IN list"),
    "unbounded": (4, "unbounded result: no LIMIT and no equality"),
    "star": (4, "SELECT *"),
    "unparsed": (25, "not parsed: an estimate from keywords, and this much for what it hides"),
}
"""What → (points for each, how it reads). The one table of weights."""

_CHEAP_JOINS = 3
"""Each further join multiplies the orders that the planner weighs, and its estimates' errors."""
_LIST_STEP = 20
_MOST_LISTS = 4


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a node stands: the statement's CTEs, SELECTs around it, whether a predicate is."""

    ctes: frozenset[str]
    depth: int = 0
    predicate: bool = False


def complexity(subject: str | exp.Expression, limit: int = DEFAULT_LIMIT) -> Complexity:
    """The score of a text, or of one tree. Never raises.

    Grades: simple below a quarter of the limit, moderate below a half, complex up to the limit,
    extreme above it. The reasons come largest first, and their points sum to the score.
    """
    if isinstance(subject, str):
        return complexity_of(judge(subject), limit)
    return _complexity(_measure(subject), limit)


def complexity_of(statements: Iterable[Judged], limit: int = DEFAULT_LIMIT) -> Complexity:
    """The score of statements that run together: the sum of theirs."""
    counts: Counter[str] = Counter()
    for judged in statements:
        is_query = judged.does.kind is not Kind.DDL or judged.does.reads
        if judged.tree is not None and is_query:
            counts.update(_measure(judged.tree))
        elif not judged.does.parsed:
            counts.update(_estimate(judged.statement.tokens))
    return _complexity(counts, limit)


def grade(score: int, limit: int = DEFAULT_LIMIT) -> str:
    """The name of a score's class."""
    if score > limit:
        return "extreme"
    if 2 * score >= limit:
        return "complex"
    return "moderate" if 4 * score >= limit else "simple"


def _complexity(counts: Counter[str], limit: int) -> Complexity:
    reasons = [_reason(what, count) for what, count in counts.items() if count > 0]
    reasons.sort(key=lambda reason: (-reason.points, reason.what))
    score = sum(reason.points for reason in reasons)
    return Complexity(score, grade(score, limit), tuple(reasons))


def _reason(what: str, count: int) -> Reason:
    points, words = WEIGHTS[what]
    return Reason(words if count == 1 else f"{count} x {words}", count * points)


def _measure(tree: exp.Expr) -> Counter[str]:
    counts: Counter[str] = Counter()
    deepest = 1
    ctes = frozenset(cte.alias.lower() for cte in tree.find_all(exp.CTE))
    todo = [(tree, _Place(ctes))]
    while todo:
        node, place = todo.pop()
        if isinstance(node, exp.Select):
            place = _Place(ctes, place.depth + 1)
            deepest = max(deepest, place.depth)
        counts.update(_features(node, place))
        todo.extend(_steps(node, place))
    counts["depth"] = deepest
    counts.update(_result(tree, ctes))
    return counts


def _steps(node: exp.Expr, place: _Place) -> Iterator[tuple[exp.Expr, _Place]]:
    for key, value in node.args.items():
        predicate = place.predicate or isinstance(node, exp.Where) or key == "on"
        for child in value if isinstance(value, list) else (value,):
            if isinstance(child, exp.Expr):
                yield child, _Place(place.ctes, place.depth, predicate)


def _features(node: exp.Expr, place: _Place) -> Iterator[str]:
    """What one node adds; the names are keys of WEIGHTS."""
    if isinstance(node, exp.Select):
        yield from _of_select(node, place)
    elif isinstance(node, exp.Join):
        yield from filter(None, [join_kind(node)])
    elif isinstance(node, exp.SetOperation):
        yield "set operation"
    elif isinstance(node, exp.Window):
        yield "window"
    elif isinstance(node, exp.AggFunc):
        yield "aggregate"
    elif isinstance(node, exp.CTE):
        yield "cte"
    elif isinstance(node, exp.With) and node.recursive:
        yield "recursive"
    elif isinstance(node, exp.Update | exp.Delete | exp.Insert):
        yield from _of_write(node)
    elif place.predicate:
        yield from _of_predicate(node)


def _of_select(node: exp.Select, place: _Place) -> Iterator[str]:
    yield from ["field"] * len(node.expressions)
    if node.args.get("distinct"):
        yield "distinct"
    yield from comma_joins(node)
    yield from ["many joins"] * (len(node.args.get("joins") or ()) - _CHEAP_JOINS)
    bounded = node.args.get("limit") is not None
    if node.args.get("order") and not bounded:
        yield "sort"
    if node.is_star and not isinstance(node.parent, exp.Exists):
        yield "star"
    if not bounded and node.args.get("where") is None and reads_table(node, place.ctes):
        yield "no where"
    if place.depth > 1 and not isinstance(node.parent, exp.CTE | exp.SetOperation):
        yield "correlated subquery" if is_correlated(node) else "subquery"


def _of_write(node: exp.Update | exp.Delete | exp.Insert) -> Iterator[str]:
    if isinstance(node, exp.Insert):
        columns = node.this.expressions if isinstance(node.this, exp.Schema) else ()
        yield from ["field"] * len(columns)
        return
    yield from ["field"] * len(node.expressions)
    if node.args.get("where") is None:
        yield "write without where"


def _of_predicate(node: exp.Expr) -> Iterator[str]:
    if isinstance(node, exp.Or) and not isinstance(node.parent, exp.Or):
        if mixes_columns(node):
            yield "or"
    elif isinstance(node, exp.In):
        yield from ["long list"] * min(len(node.expressions) // _LIST_STEP, _MOST_LISTS)
    if leading_wildcard(node):
        yield "wildcard"
    if compares_function_of_column(node):
        yield "function"


def _result(tree: exp.Expr, ctes: frozenset[str]) -> Iterator[str]:
    """What the statement's own result adds; subqueries are judged by what they feed."""
    select = tree.unnest() if isinstance(tree, exp.Subquery) else tree
    if not isinstance(select, exp.Select) or select.args.get("limit") is not None:
        return
    if reads_table(select, ctes) and not is_aggregate_row(select) and not has_equality(select):
        yield "unbounded"


_KEYWORDS = {
    "join": "join",
    "cross": "cross join",
    "lateral": "lateral join",
    "recursive": "recursive",
    "union": "set operation",
    "intersect": "set operation",
    "except": "set operation",
    "over": "window",
    "distinct": "distinct",
    "order": "sort",
    "or": "or",
    "group": "aggregate",
}


def _estimate(tokens: Iterable[Token]) -> Counter[str]:
    """A statement without a tree: its keywords, each taken at its dearest."""
    counts: Counter[str] = Counter({"unparsed": 1, "depth": 1})
    nested = deepest = 0
    opened: list[bool] = []
    before = ""
    for token in tokens:
        word = token.text.lower() if len(token.text) <= 9 else ""
        if token.lexeme is Lexeme.PUNCT and word in {"(", ")"}:
            if word == "(":
                opened.append(False)
            elif opened and opened.pop():
                nested -= 1
        elif token.lexeme is Lexeme.WORD and word == "select" and before == "(":
            opened[-1] = True
            nested += 1
            deepest = max(deepest, nested)
            counts["correlated subquery"] += 1
        elif token.lexeme is Lexeme.WORD and word in _KEYWORDS:
            counts[_KEYWORDS[word]] += 1
        before = word
    counts["depth"] += deepest
    return counts
