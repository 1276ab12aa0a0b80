"""What holds of the score of any statement: it never raises, and grows with what is added."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from dbopt.sql.complexity import complexity
from tests.property.test_sql_text import ANY
from tests.support import examples
from tests.unit.sql.complexity_support import SCHEMA

TABLES = ("u", "big", "small", "s.v")
COLUMNS = ("a", "b", "t.a", "u.b", "big.id", "owner", "x.c")
CONDITIONS = st.sampled_from(
    [
        "a = 1",
        "t.b = $1",
        "t.a = u.b",
        "big.id = small.kind",
        "owner in (1, 2, 3)",
        "a > 1",
        "lower(a) = 'x'",
        "b like '%x'",
        "a <> 2",
        "(a = 1 or b = 2)",
        "exists (select 1 from w where w.x = t.a)",
        "a not in (select id from big)",
        "b = (select max(c) from w)",
    ]
)


@dataclass(frozen=True)
class Select:
    """A SELECT in its parts. Tables are joined by commas, or by what `joins` says."""

    fields: tuple[str, ...]
    tables: tuple[str, ...]
    joins: tuple[str, ...]
    conditions: tuple[str, ...]
    tail: str

    def sql(self, limit: str = "") -> str:
        where = f" where {' and '.join(self.conditions)}" if self.conditions else ""
        source = f" from {', '.join(self.tables)} {' '.join(self.joins)}"
        return f"select {', '.join(self.fields)}{source}{where} {self.tail} {limit}"


FIELDS = st.sampled_from([*COLUMNS, "*", "count(*)", "sum(a) over ()", "(select max(b) from u)"])
JOINS = st.sampled_from(
    [
        "join j on j.x = t.a",
        "left join k using (a)",
        "cross join l",
        "join m on m.y > 1 and m.z > t.a",
        "natural join n",
        "left join lateral (select 1 from o where o.x = t.a limit 1) p on true",
    ]
)
SELECTS = st.builds(
    Select,
    st.lists(FIELDS, min_size=1, max_size=4).map(tuple),
    # A join sees the last of these alone, so that must be the one which its condition names.
    st.lists(st.sampled_from(TABLES), max_size=2, unique=True).map(lambda names: (*names, "t")),
    st.lists(JOINS, max_size=3, unique=True).map(tuple),
    st.lists(CONDITIONS, max_size=4).map(tuple),
    st.sampled_from(["", "order by a", "group by a", "group by a order by 1"]),
)


def score(text: str) -> int:
    found = complexity(text)
    assert "not parsed" not in " ".join(reason.what for reason in found.reasons), text
    return found.score


@given(SELECTS, JOINS)
@settings(max_examples=examples(100))
def test_a_join_never_lowers_the_score(select: Select, join: str) -> None:
    """Unless its condition has a constant, which may narrow the whole."""
    more = replace(select, joins=(*select.joins, join.replace("j ", "jj ").replace("j.x", "jj.x")))
    assert score(select.sql()) <= score(more.sql())


@given(SELECTS, st.data())
@settings(max_examples=examples(100))
def test_an_alternative_never_lowers_the_score(select: Select, data: st.DataObject) -> None:
    conditions = select.conditions or ("a = 1",)
    at = data.draw(st.integers(0, len(conditions) - 1))
    other = data.draw(CONDITIONS)
    less = replace(select, conditions=conditions)
    either = f"({conditions[at]} or {other})"
    more = replace(select, conditions=(*conditions[:at], either, *conditions[at + 1 :]))
    assert score(less.sql()) <= score(more.sql())


@given(SELECTS)
@settings(max_examples=examples(100))
def test_nesting_never_lowers_the_score(select: Select) -> None:
    text = select.sql()
    assert score(text) <= score(f"select * from ({text}) as nested")
    assert score(text) <= score(f"with nested as ({text}) select * from nested")
    assert score(text) <= score(f"select 1 from q where a in ({text})")


@given(SELECTS)
@settings(max_examples=examples(100))
def test_a_limit_never_raises_the_score(select: Select) -> None:
    assert score(select.sql()) >= score(select.sql("limit 10"))
    known, limited = (complexity(t, schema=SCHEMA) for t in (select.sql(), select.sql("limit 10")))
    assert known.score >= limited.score


@given(SELECTS, st.floats(0, 1e12), st.floats(1, 10))
@settings(max_examples=examples(100))
def test_a_higher_cost_never_lowers_the_score(select: Select, cost: float, times: float) -> None:
    text = select.sql()
    low, high = (complexity(text, cost=one, schema=SCHEMA) for one in (cost, cost * times))
    assert low.score <= high.score


@given(ANY, st.none() | st.floats())
@settings(max_examples=examples(100))
def test_no_text_raises(text: str, cost: float | None) -> None:
    found = complexity(text, schema=SCHEMA, cost=cost)
    assert found.score == sum(reason.points for reason in found.reasons)
    assert found.score >= 0


@given(SELECTS)
@settings(max_examples=examples(100))
def test_the_score_is_the_same_each_time(select: Select) -> None:
    text = select.sql()
    assert complexity(text, schema=SCHEMA) == complexity(text, schema=SCHEMA)
