"""A small database for the rules: what the server is told (DDL, DATA), and its Schema.

test_sql_rewrites.py checks that the two agree. NULLs and duplicates are everywhere.
"""

from __future__ import annotations

from dbopt.sql.indexdef import parse_index
from dbopt.sql.query import Relation
from dbopt.sql.schema import Schema, SchemaColumn, SchemaRelation

ROWS = 50_000.0
"""What the Schema says of every table's size: too large to be read whole for nothing."""

DDL = """
create table users (
    id bigint primary key, email text not null, name text, country character varying(20),
    created_at timestamp with time zone not null, score integer, active boolean
);
create unique index users_email_key on users (email);
create index users_name_idx on users (name);
create index users_country_idx on users (country);
create index users_created_at_idx on users (created_at);
create index users_score_idx on users (score);
create table orders (
    id bigint primary key, user_id bigint not null, status text,
    placed_at timestamp without time zone, due date, quantity integer, total numeric(10,2),
    note text
);
create index orders_user_id_idx on orders (user_id);
create index orders_status_idx on orders (status);
create index orders_placed_at_idx on orders (placed_at);
create index orders_due_idx on orders (due);
create index orders_quantity_idx on orders (quantity);
create index orders_lower_note_idx on orders (lower(note));
create table items (
    order_id bigint not null, position integer not null, sku text, price numeric,
    primary key (order_id, position)
);
create table banned (user_id bigint, reason text);
create table events (id bigint not null, at timestamp without time zone, kind text, payload jsonb);
create index events_at_idx on events (at);
"""

DATA = """
insert into users
select n, 'u' || n || '@example.com', case when n % 4 > 0 then 'name ' || n % 7 end,
       case when n % 3 > 0 then (array['FR', 'DE', 'fr'])[n % 3] end,
       timestamptz '2024-01-01 00:00+00' + n * interval '7 hours',
       case when n % 5 > 0 then n % 10 end, case when n % 3 > 0 then n % 2 = 0 end
from generate_series(1, 40) n;
insert into orders
select n, n % 25 + 1, case when n % 4 > 0 then (array['new', 'open', 'done'])[n % 4] end,
       case when n % 9 > 0 then timestamp '2024-01-01' + n % 30 * interval '6 hours' end,
       case when n % 8 > 0 then date '2024-01-01' + n % 6 end,
       case when n % 7 > 0 then n % 5 end, case when n % 6 > 0 then n % 4 * 1.5 end,
       case when n % 5 > 0 then (array['Gift', 'gift', 'x%', 'late'])[n % 4 + 1] end
from generate_series(1, 90) n;
insert into orders (id, user_id, placed_at) values
    (91, 1, 'infinity'), (92, 1, '-infinity'), (93, 2, '2024-01-02'), (94, 2, '2024-01-03');
insert into items
select n % 30 + 1, n, case when n % 3 > 0 then 'sku ' || n % 5 end,
       case when n % 4 > 0 then n % 6 end
from generate_series(1, 80) n;
insert into banned values (3, 'spam'), (3, 'spam'), (null, 'unknown'), (7, null), (99, 'gone');
insert into events
select n % 6, case when n % 5 > 0 then timestamp '2024-01-01' + n % 4 * interval '12 hours' end,
       case when n % 4 > 0 then 'kind ' || n % 3 end,
       case when n % 3 > 0 then jsonb_build_object('a', n % 2) end
from generate_series(1, 24) n;
analyze;
"""


def _table(name: str, columns: str, *indexes: str) -> SchemaRelation:
    """A table of columns written `name type[!], ...`, with `!` for NOT NULL."""
    found: dict[str, SchemaColumn] = {}
    for column in columns.split("; "):
        key, _, type_ = column.partition(" ")
        found[key] = SchemaColumn(key, type_.removesuffix("!"), type_.endswith("!"))
    definitions = tuple(parse_index(f"create {index}") for index in indexes)
    return SchemaRelation(
        Relation("public", name),
        columns=found,
        rows=ROWS,
        size_bytes=int(ROWS) * 100,
        indexes=definitions,
    )


_TABLES = (
    _table(
        "users",
        "id bigint!; email text!; name text; country character varying(20); "
        "created_at timestamp with time zone!; score integer; active boolean",
        "unique index users_pkey on public.users (id)",
        "unique index users_email_key on public.users (email)",
        "index users_name_idx on public.users (name)",
        "index users_country_idx on public.users (country)",
        "index users_created_at_idx on public.users (created_at)",
        "index users_score_idx on public.users (score)",
    ),
    _table(
        "orders",
        "id bigint!; user_id bigint!; status text; placed_at timestamp without time zone; "
        "due date; quantity integer; total numeric(10,2); note text",
        "unique index orders_pkey on public.orders (id)",
        "index orders_user_id_idx on public.orders (user_id)",
        "index orders_status_idx on public.orders (status)",
        "index orders_placed_at_idx on public.orders (placed_at)",
        "index orders_due_idx on public.orders (due)",
        "index orders_quantity_idx on public.orders (quantity)",
        "index orders_lower_note_idx on public.orders (lower(note))",
    ),
    _table(
        "items",
        "order_id bigint!; position integer!; sku text; price numeric",
        "unique index items_pkey on public.items (order_id, position)",
    ),
    _table("banned", "user_id bigint; reason text"),
    _table(
        "events",
        "id bigint!; at timestamp without time zone; kind text; payload jsonb",
        "index events_at_idx on public.events (at)",
    ),
)

SAMPLE = Schema(relations={table.relation: table for table in _TABLES})
"""Each rule that needs a schema fires on its example with this one."""
