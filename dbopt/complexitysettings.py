"""The weights of the complexity score. PURE: dbopt.sql.complexity says how they are used.

A score of 100 is the limit by default: a weight is the share of it that one thing takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dbopt.setting import option

_MOST = 10_000


def _points(default: int, doc: str) -> Any:
    return option(default, f"Points for {doc}", low=0, high=_MOST, reload=True)


@dataclass(frozen=True, slots=True)
class Complexity:
    """The weights of the complexity score."""

    field: int = _points(1, "each field that is selected or written.")
    depth: int = _points(10, "each level of nesting.")
    join: int = _points(5, "an inner join.")
    many_joins: int = _points(4, "each join of one FROM beyond the third.")
    outer_join: int = _points(7, "an outer join.")
    lateral_join: int = _points(5, "a join that runs for each row of the other side.")
    cross_join: int = _points(25, "a join without a condition.")
    subquery: int = _points(3, "a subquery.")
    exists_subquery: int = _points(6, "a correlated EXISTS or IN: the planner makes it a join.")
    correlated_subquery: int = _points(12, "another correlated subquery: it runs for each row.")
    cte: int = _points(3, "a common table expression.")
    recursive: int = _points(20, "a recursive query.")
    set_operation: int = _points(5, "a UNION, INTERSECT or EXCEPT.")
    aggregate: int = _points(3, "an aggregate.")
    grouping: int = _points(8, "a GROUP BY.")
    window: int = _points(6, "a window function.")
    distinct: int = _points(5, "a DISTINCT, and a set operation that removes duplicates.")
    sort: int = _points(4, "an ORDER BY without a LIMIT.")
    or_columns: int = _points(5, "an OR across columns.")
    leading_wildcard: int = _points(8, "a LIKE pattern that starts with a wildcard.")
    function: int = _points(6, "a function of a column in a comparison.")
    cast: int = _points(6, "a cast of a column in a comparison.")
    arithmetic: int = _points(6, "arithmetic with a column in a comparison.")
    negation: int = _points(2, "a negated comparison, such as <> or NOT LIKE.")
    not_in_subquery: int = _points(15, "a NOT IN with a subquery.")
    scan: int = _points(10, "a query in which no equality narrows any table.")
    scanned_table: int = _points(4, "each further table that no equality narrows.")
    range: int = _points(2, "a range of values, such as BETWEEN.")
    no_where: int = _points(5, "a query of a table with neither WHERE nor LIMIT.")
    write_without_where: int = _points(40, "an UPDATE or DELETE without WHERE.")
    long_list: int = _points(5, "each twenty constants of a list, up to eighty.")
    unbounded: int = _points(4, "a result that neither LIMIT nor an equality bounds.")
    star: int = _points(4, "a SELECT *.")
    unparsed: int = _points(25, "a statement that cannot be parsed, for what it may hide.")
    narrowed_share: float = option(
        0.5,
        "Share of these points, but for field and depth, that a query counts which an equality "
        "narrows. Where the tables' sizes are known, the rows that it reads give the share.",
        low=0,
        high=1,
        reload=True,
    )
    rows_factor: float = option(
        18.0,
        "Points for each tenfold of the rows that are read, above rows_floor.",
        unit="points",
        low=0,
        high=_MOST,
        reload=True,
    )
    rows_floor: float = option(
        1000.0, "Rows that may be read without a point.", unit="rows", low=1, reload=True
    )
    cost_factor: float = option(
        25.0,
        "Points for each tenfold of the planner's cost, above cost_floor.",
        unit="points",
        low=0,
        high=_MOST,
        reload=True,
    )
    cost_floor: float = option(
        100.0,
        "Planner's cost that adds no point.",
        unit="cost units",
        low=1,
        reload=True,
    )
    beside_cost: float = option(
        0.2,
        "Share of all other points that counts where the planner's cost is known, since that "
        "prices most of them.",
        low=0,
        high=1,
        reload=True,
    )
