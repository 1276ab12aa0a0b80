"""Statements for the rules of the first half: see test_sql_rewrites.py."""

from __future__ import annotations

from tests.integration.rewrite_case import Case

_COUNTS = (
    "select id from users u where (select count(*) from orders o where o.user_id = u.id) > 0",
    "select id from users u where 0 = (select count(*) from orders o where o.user_id = u.id)",
    "select id from users u where (select count(note) from orders o where o.user_id = u.id) < 1",
    "select id from users u where (select count(note) from orders o where o.user_id = u.id "
    "and o.total > 3 or o.user_id = u.id + 1) >= 1",
    "select id, (select count(*) from orders o where o.user_id = u.id) > 0 from users u",
    "select id, (select count(*) from orders o where o.user_id = u.id) = 0 as none from users u",
    "select id from users u where ((select count(*) from banned b where b.user_id = u.id) > 0) "
    "= active",
    "select id from users u where ((select count(*) from banned b where b.user_id = u.id) = 0) "
    "is not distinct from active",
    "select case when (select count(*) from banned where reason is null) <> 0 then 1 else 2 end",
    "select count(*) > 0 from orders where status = 'nowhere'",
    "select count(*) > 0 from orders where status = 'open'",
    "select count(note) = 0 as \"No Note\" from orders where status = 'open'",
    "select count(*) >= 1 as some from orders o left join banned b on b.user_id = o.user_id "
    "where b.reason = 'spam'",
    "update users set active = true where (select count(*) from banned b "
    "where b.user_id = users.id) > 0 returning id, active",
)
_NOT_IN = (
    "select id from users where id not in (select user_id from orders)",
    "select id, id not in (select user_id from orders where status = 'open') from users",
    "select id from users u where u.id not in (select o.user_id from orders o "
    "where o.quantity > u.score or o.note is null)",
    "select id from users where id not in (select user_id from banned where user_id is not null)",
    "select id from users where id not in (select user_id from orders where false)",
    "select o.id, i.sku from orders o join items i on i.order_id = o.id "
    "where o.user_id not in (select b.user_id from banned b where b.user_id is not null)",
    "select id from users where not (id in (select order_id from items)) and score > 2",
    "delete from orders where id not in (select order_id from items) returning *",
    "update users set score = 0 where id not in (select user_id from orders) returning id, score",
)
_RANGES = tuple(
    f"select id, placed_at from orders where {condition}"
    for condition in (
        "placed_at::date = '2024-01-02'",
        "date(placed_at) = date '2024-01-03'",
        "date(placed_at) < '2024-01-03'",
        "date(placed_at) <= '2024-01-03'",
        "date(placed_at) > '2024-01-02'",
        "'2024-01-02' <= placed_at::date",
        "date(placed_at) = '2024-01-02' or status = 'new'",
        "extract(year from placed_at) = 2024",
        "extract(year from placed_at) < 2024 or extract(year from placed_at) > 2024",
        "extract(year from due) = 2024 and extract(year from due) <= 2024",
    )
)
_SUMS = tuple(
    f"select id, quantity from orders where {condition}"
    for condition in (
        "quantity + 1 > 3",
        "quantity - 1 = 2",
        "2 - quantity >= 0",
        "-1 - quantity < -3",
        "3 <> 4 and 2 < 1 + quantity",
        "quantity + 0 <= 2 or id = 3",
    )
)
_UNUSED = (
    "select s.id from (select id, note, total * 2 as twice from orders) s",
    "with x as materialized (select user_id, status, note from orders where total > 1) "
    "select user_id from x",
    "with x as (select user_id, status, note from orders) select a.status, count(*) "
    "from x a join x b on a.user_id = b.user_id group by a.status",
    "with x as materialized (select * from orders where total > 1) select x.user_id, note from x",
    "select s.n from (select count(*) as n, max(total) as most from orders) s",
    "select s.n from (select count(*) as n, max(total) as most from orders where false) s",
    "select s.status from (select status, sum(total) as total, count(note) as notes "
    "from orders group by status) s where s.notes > 2",
    "select count(*) from (select status, note, due from orders limit 10) s",
    "select s.id from (select id, row_number() over (partition by user_id order by id) as n, "
    "sum(total) over (partition by user_id) as sum from orders) s where s.n = 1",
    "select u.name, s.last from users u left join (select user_id, max(placed_at) as last, "
    "min(due) as due from orders group by user_id) s on s.user_id = u.id",
    "select s.id from users u cross join lateral (select o.id, o.note from orders o "
    "where o.user_id = u.id order by o.total desc, o.id limit 2) s",
    "update users set name = s.note from (select distinct_id, note, other from "
    "(select id as distinct_id, note, status as other, due from orders) o) s "
    "where s.distinct_id = users.id returning id, name",
)

CASES: tuple[Case, ...] = (
    *(Case("count-for-existence", sql) for sql in _COUNTS),
    Case(
        "count-for-existence",
        "select id from users u where (select count(*) from orders o where o.user_id = u.id "
        "and o.status = $1) > 0",
        ("open",),
    ),
    *(Case("not-in-subquery", sql) for sql in _NOT_IN),
    *(Case("function-on-indexed-column", sql) for sql in _RANGES),
    *(Case("arithmetic-on-column", sql) for sql in _SUMS),
    *(Case("unused-columns", sql) for sql in _UNUSED),
    Case(
        "unused-columns",
        "select s.id, s.placed_at from (select id, placed_at, note from orders) s "
        "order by s.placed_at desc nulls last, s.id",
        ordered=True,
    ),
)
