-- One index a line; t is the table of test_sql_agreement.py.
create index on t (a)
create unique index on t (a, b desc) nulls not distinct
create index on t (lower(c))
create index on t (c) where c = 'done'
create index on t (c) where c in ('a','b')
create index on t (a) where a in (1,2)
create index on t (a) include (b) where ok
create index on t (n) where n > 0 and a < -1
create index on t using gin (j jsonb_path_ops)
create index on t using gin (j)
create index on t ((j->>'k'))
create index on t (date_trunc('day', ts at time zone 'utc'))
create index on t using gin (to_tsvector('english', c))
create index on t (c text_pattern_ops, c collate "C" desc nulls last)
create index on t ((a+b), (a::text))
create index on t (a) where not ok and b is not null
create index on t (a) where b between 1 and 5
create index on t (a) where c like 'x%' or c <> 'y'
create index on t using brin (ts) with (pages_per_range=32)
create index on t using hash (a)
create index on t (coalesce(a, 0), (c || 'x'))
create index on t ((case when a > 0 then 1 else 2 end))
create index on t (a) where n > 1.5 and c is distinct from 'q'
create index on t (a) where ok = true
create index on t (extract(year from ts at time zone 'utc'))
create index on t (upper(c) varchar_pattern_ops) where length(c) > 3
