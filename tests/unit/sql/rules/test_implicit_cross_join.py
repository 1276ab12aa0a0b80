from __future__ import annotations

import pytest

from dbopt.sql.rules.implicit_cross_join import RULE
from tests.unit.sql.rules.asking import matches
from tests.unit.sql.rules.sample import SAMPLE

FIRES = [
    "select o.id, u.name from orders o, users u where o.status = 'open'",
    "select * from orders, users",
    "select a.x from a, b, c where a.id = b.a_id and c.kind = 3",
    "select a.x from a join b on b.kind = 3",
    "select a.x from a left join b on a.kind = 3",
    "select a.x from a, (select user_id from orders) s where a.kind = 3",
    "with s as (select user_id from orders) select a.x from a, s",
    "update orders set note = u.name from users u where u.active",
    "delete from orders using users u where u.active",
    "select 1 from q where exists (select 1 from a, b where a.kind = 3)",
    "select a.x from a, b where (a.x = 3 or a.y = 4)",
    "select a.x from a, b where a.x > 3 and a.y = a.z",
]
PASSES = [
    "select o.id from orders o, users u where o.user_id = u.id",
    "select o.id from orders o, users u where o.status = 'open' and (u.id = o.user_id)",
    "select a.x from a, b, c where a.id = b.a_id and b.id = c.b_id",
    # Said to be wanted.
    "select a.x from a cross join b",
    "select a.x from a join b on true",
    "select a.x from a left join b on true",
    "select a.x from a join b using (id)",
    "select a.x from a natural join b",
    # One condition of several tables, of whatever form.
    "select a.x from a, b where a.x between b.low and b.high",
    "select a.x from a, b where a.x = b.x or a.y = b.y",
    "select a.x from a, b where lower(a.x || b.x) = 'ab'",
    "select a.x from a, b where exists (select 1 from c where c.a = a.id and c.b = b.id)",
    "select 1 from o where exists (select 1 from a, b where a.x = o.x and b.y = o.y)",
    # What is no table.
    "select a.x from a, unnest(a.tags) t",
    "select a.x from a, generate_series(1, 3) g",
    "select a.x from a, jsonb_array_elements(a.doc) e",
    "select a.x from a, lateral (select 1 from b where b.id = a.id) s",
    "select a.x from a, (values (1), (2)) v(n)",
    # One row.
    "select a.x from a, (select max(x) as top from b) m",
    "select a.x from a, (select x from b order by x limit 1) m",
    "select a.x from a, (select 1 as one) m",
    "with m as (select count(*) as n from b) select a.x / m.n from a, m",
    "select a.x from a, b where a.id = 3 and b.id = 4",
    "select a.x from a, settings s where s.key = 'x'",
    "select a.x from a left join pg_extension e on e.extname = 'x'",
    # The same constant on both sides.
    "select a.x from a, b where a.tenant = $1 and b.tenant = $1",
    # It cannot be told whose column it is.
    "select x from a, b where x = y",
    "select x from a, b where a.x = y",
    "select a.x from a, b where a.id in (select b_id from c where d = 4)",
    "select a.x from a",
    "select a.x from (a join b on a.id = b.id), c where a.id = c.id",
    "update orders set note = u.name from users u where u.id = orders.user_id",
    "delete from orders o using users u where u.id = o.user_id and not u.active",
]


@pytest.mark.parametrize("text", FIRES)
def test_fires(text: str) -> None:
    assert 1 == len(matches(RULE, text))


@pytest.mark.parametrize("text", PASSES)
def test_passes(text: str) -> None:
    assert [] == matches(RULE, text)


@pytest.mark.parametrize(
    "text",
    [
        "select note, name from orders, users where status = 'open' and email > 'x'",
        "select 1 from orders, users where status = note and score > 3",
        "select 1 from orders, users where score = 3 and status in (select reason from banned)",
        "select 1 from orders o, items i where i.order_id = 3 and o.note = 'x'",
    ],
)
def test_a_schema_tells_whose_column_it_is(text: str) -> None:
    assert 1 == len(matches(RULE, text, SAMPLE))


@pytest.mark.parametrize(
    "text",
    [
        "select note, name from orders, users where user_id = users.id",
        "select note from orders, users where status = country",
        # A key finds one row at most.
        "select note from orders, users where email = $1 and status = 'open'",
        "select o.note from orders o, items i where i.order_id = 3 and i.position = 4",
    ],
)
def test_a_schema_tells_what_is_linked(text: str) -> None:
    assert [] == matches(RULE, text, SAMPLE)


def test_says_which() -> None:
    (found,) = matches(RULE, "select 1 from a, b, c where a.id = b.a_id")
    assert "No condition links c to a, b: every row is paired with every row." == found.message
