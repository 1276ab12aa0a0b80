from __future__ import annotations

from tests.integration.rewrite_case import Case

LONG = ", ".join(map(str, range(110)))
LONG_STRINGS = ", ".join(f"'u{n}@example.com'" for n in range(110))
ODD_STRINGS = ", ".join(["'new'", "'x%'", "'it''s'", "'a\"b'", "'a\\b'", "'NULL'", "'{}'"] * 16)
USERS_ORDERS = "from users u join orders o on o.user_id = u.id"

_DISTINCT = (
    f"select distinct u.id, u.name {USERS_ORDERS}",
    f"select distinct u.name, u.country {USERS_ORDERS} where o.status = 'new' and u.score > 3",
    f"select distinct u.name as n {USERS_ORDERS} where o.quantity is null or u.score = 5",
    "select distinct u.country from users u, orders o where o.user_id = u.id",
    "select distinct u.* from orders o join users u on u.id = o.user_id where o.due is not null",
    f"select distinct u.name, o.status {USERS_ORDERS} join items i on i.order_id = o.id "
    "where i.price > 1",
    "select distinct o.note from orders o join items i on i.order_id = o.id "
    "join banned b on b.user_id = o.user_id",
    "select distinct u.name from users u join banned b on b.user_id = u.id and u.active",
    "select distinct u.name from users u cross join banned b where b.reason is null",
    f"select distinct u.id, unnest(array[1, 1]) as n {USERS_ORDERS}",
    "select distinct upper(u.name) as n from users u join banned b on b.user_id = u.score",
    "select count(*) from (select distinct u.id from users u join orders o on o.user_id = u.id) x",
    "with x as (select distinct b.reason from banned b join users u on u.score = b.user_id) "
    "select * from x",
    "select distinct b.reason, b.user_id from banned b join events e on e.id = b.user_id "
    "where e.kind = $1",
)
_UNION = (
    "select 'user' as kind, count(*) from users union select 'order', count(*) from orders",
    "select 'a', id from users union select 'b', id from orders",
    "select 1 as n union select 2 union select 3",
    "select id, name from users where score = 1 union select id, email from users where score = 2",
    "select id from users where id in "
    "(select user_id from orders union select user_id from banned)",
    "select id from users where id not in "
    "(select user_id from orders union select user_id from orders where id > 3)",
    "select id from users u where exists (select 1 from orders o where o.user_id = u.id "
    "union select 2 from banned b where b.user_id = u.id)",
    "select distinct 'x', status from orders union select distinct 'y', note from orders",
    "select status, 1 from orders group by status union select note, 2 from orders group by note",
    "select order_id, position, 0 from items union select order_id, position, 1 from items",
)
_OR = (
    "select o.id, u.id as user_id from orders o join users u on u.id = o.user_id "
    "where o.status = 'new' or u.email = 'u3@example.com'",
    "select o.id, u.id as uid, o.note from orders o left join users u on u.id = o.user_id "
    "where (o.quantity = 3 or u.name = 'name 2') and o.id < 60",
    "select o.id, u.id as user_id from orders o, users u where u.id = o.user_id "
    "and (o.status = $1 or u.score > 7 and u.active or u.country in ('DE', 'fr'))",
)
_OR_FOR_IN = (
    "select id from orders where status = 'new' or status = 'done'",
    "select id from orders where not (status = 'new' or status = 'done')",
    "select id from orders where (quantity = 1 or quantity = 3) and id > 10 or id = 2",
    "select id from orders o where o.quantity = 1 or (o.quantity = 3 or o.quantity = 4)",
    "select id from orders where coalesce(status = 'new' or status = 'open', true)",
    "select id from orders where 'v' || (status = 'new' or status = 'open') = 'vtrue'",
    "select id from orders where (status = 'new' or status = 'open') is null",
    "select total from orders where total = 3 or total = 0",
    "delete from orders where status = 'new' or status = 'done' returning id",
    "update orders set note = 'n' where quantity = 1 or quantity = 2",
    "select id from users where country = 'DE' or country = 'XX'",
    "select id from users where created_at = '2024-01-01 07:00+00' or created_at = '2024-01-02'",
)
_HUGE = (
    f"select id from users where id in ({LONG})",
    f"select id from users where id not in ({LONG})",
    f"select id from users where score not in ({LONG})",
    f"select id from orders where total in ({LONG})",
    f"select id from users where email in ({LONG_STRINGS})",
    f"select id from orders where status in ({ODD_STRINGS})",
    f"select id from orders where note not in ({ODD_STRINGS})",
    f"select id from users where country in ({ODD_STRINGS})",
    f"select id, score in ({LONG}) as known from users where score in ({LONG}) or id = 40",
    f"select id from events where kind in ({ODD_STRINGS}) /* kept */ and id > 2",
)
_NOW = (
    "select id from users where now() - created_at > interval '36 hours'",
    "select id from users where (current_timestamp - created_at) < interval '9000 hours'",
    "select id from orders where now() - placed_at >= interval '5 minutes' and id > 3",
)
ONE_PARAMETER = {"e.kind = $1": ("kind 1",), "o.status = $1": ("new",)}


def _parameters(sql: str) -> tuple[object, ...]:
    return next((values for part, values in ONE_PARAMETER.items() if part in sql), ())


CASES: tuple[Case, ...] = (
    *(Case("distinct-hides-join", sql, _parameters(sql)) for sql in _DISTINCT),
    *(Case("union-for-union-all", sql) for sql in _UNION),
    *(Case("or-across-columns", sql, _parameters(sql)) for sql in _OR),
    *(Case("or-for-in", sql) for sql in _OR_FOR_IN),
    *(Case("huge-in-list", sql) for sql in _HUGE),
    *(Case("now-minus-column", sql) for sql in _NOW),
    Case("or-for-in", "select id from orders where quantity = $1 or quantity = $2", (1, 3)),
    Case("or-for-in", "select id from orders where status = $1 or status = $2", ("new", None)),
    Case(
        "distinct-hides-join",
        f"select distinct u.id, u.name {USERS_ORDERS} order by u.id desc",
        ordered=True,
    ),
    Case(
        "union-for-union-all",
        "select id from users where score = 1 union select id from users where score = 2 "
        "union select id from users where score = 3 order by 1 desc limit 7",
        ordered=True,
    ),
    Case(
        "or-across-columns",
        "select o.id as oid, u.id as user_id, u.name from orders o join users u "
        "on u.id = o.user_id where o.status = 'new' or u.score = 3 order by oid desc, name",
        ordered=True,
    ),
)
