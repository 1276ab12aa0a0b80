"""What lint costs at worst: CPU seconds, with room for a slow machine."""

from __future__ import annotations

from time import process_time

import pytest

from dbopt.sql.lint import lint
from tests.unit.sql.rules.sample import SAMPLE

LONGEST = 50_000
"""Characters."""
MOST_SECONDS = 3.0
_EACH_RULE = (
    "(select count(*) from orders) > 0 and id not in (select user_id from orders) "
    "and score + 1 = 2 and now() - created_at > interval '1 hour' and (score = 1 or score = 2) "
    "and email in (select distinct u.email from users u join orders o on o.user_id = u.id) "
    "and id in (select id from users union select user_id from orders)"
)


def many(part: str, between: str, before: str = "", after: str = "") -> str:
    """As many of a part as there is room for."""
    count = (LONGEST - len(before) - len(after)) // (len(part) + len(between))
    return before + between.join([part] * count) + after


HOSTILE = {
    "ORs": many("(score = 1 and name = 'x')", " or ", "select id from users where "),
    "NOT INs": many(
        "id not in (select user_id from orders)", " and ", "select id from users where "
    ),
    "UNIONs": many("select 'a', id from users", " union "),
    "joins": many("join orders o on o.user_id = u.id", " ", "select distinct u.id from users u "),
    "commas": many("orders o", ", ", "select 1 from "),
    "subqueries": many("(select id, note from orders) x", ", ", "select 1 from "),
    "IN lists": many(f"id in ({', '.join('7' * 101)})", " and ", "select 1 from users where "),
    "wildcards": many("name like '%abc%'", " and ", "select 1 from users where "),
    "statements": many("select id from users where id = 1", "; "),
    "updates": many("update users set name = 'x' where id = 2", "; ", "begin; "),
    "all rules": many(_EACH_RULE, " and ", "select id from users where "),
    "all rules, short enough for rewrites": "select id from users where "
    + " and ".join([_EACH_RULE] * 20),
    "nested": "select 1 from " + "(select a, b from " * 90 + "t" + ") s" * 90,
    "brackets": "(" * LONGEST,
    "quotes": many("select '", ""),
    "markers": many("-- dbopt:ignore a,\n", "", "", "select 1"),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_text_costs_little(text: str) -> None:
    started = process_time()
    lint(text, SAMPLE)

    assert process_time() - started < MOST_SECONDS


def test_a_thousand_statements_cost_little() -> None:
    started = process_time()
    for number in range(1000):
        lint(
            "SELECT u.id, u.name, count(o.id) FROM users u JOIN orders o ON o.user_id = u.id "
            f"WHERE u.country = 'FR' AND o.placed_at >= '2024-01-01' GROUP BY u.id LIMIT {number}",
            SAMPLE,
        )

    assert process_time() - started < 5.0


def test_only_the_first_of_many_findings_are_rewritten() -> None:
    """Each rewrite is the whole statement, printed and read back."""
    short = lint("select id from users where " + " and ".join(["score + 1 = 2"] * 10), SAMPLE)
    long = lint("select id from users where " + " and ".join(["score + 1 = 2"] * 330), SAMPLE)

    assert 10 == sum("rewrite" in finding.evidence for finding in short)
    assert 1 <= sum("rewrite" in finding.evidence for finding in long) <= 10
    assert len(long) > 10
