-- One statement a line; t is the table of test_sql_agreement.py.
select * from t where a = -5 and b is null
select * from t where a in (1,2,3)
select * from t where a in (1,2,3,-4) and c = any(array['x','y'])
select * from t where c in ('x'::text, 'y'::text)
select * from t where ok = true or ok = false or not ok
select 1 limit all
select 1 limit null
select 1 fetch first 5 rows only
select a, count(*) from t group by 1 order by 2 desc
select extract(year from ts), date_trunc('day', ts) from t
select interval '1 day', date '2020-01-01', timestamp '2020-01-01', ts + interval '1' day from t
select j->'a'->>'b', j ? 'a', j ?| array['x'], j @> '{"a":1}' from t
insert into t (a,c) values (1,'a'),(2,'b'),(-3,null)
insert into t (a,c) values (1,default)
insert into t (a) select g from generate_series(1,10) g
update t set a = a + 1, c = 'x', ok = null where a between 1 and -2
delete from t where c like '%x' escape '!'
select case when a = 1 then 'x' else null end from t
select coalesce(null, a, 1) from t
with x as (select 1 as n) select * from x where n > 0
select E'a\'b', U&'\0061', B'01', X'1f', $$x$$, $q$ y $q$
select /* c */ 1 -- d
select count(*) filter (where a > 1) over (partition by a order by a rows between 1 preceding and current row) from t
select * from t where (a, c) in ((1,'x'),(2,'y'))
select * from t where a is distinct from null or ok is true
select * from unnest(array[1,2,3]) with ordinality
select array[1,2]::int[], '{1,2}'::int[], array[[1,2],[3,4]]
select N'abc'
select row(1,2), (1,2) = (3,4)
select substring('abc' from 1 for 2), position('a' in 'b'), trim(both 'x' from 'y'), overlay('a' placing 'b' from 1)
select * from t order by a limit 10 offset 5
select a[1], a[1:2] from (select array[1,2] a) x
select now() at time zone 'utc'
select * from generate_series(1,10) g(n) where n % 2 = 0
select 1e5, 0x1F, 1_000, .5, 1.
SELECT "A" FROM (SELECT 1 AS "A") S
select 1.5::float8 + -2.5
select * from t where a = + 5
set work_mem = '4MB'
create table if not exists z (a int default 5)
values (1,2),(3,4)
select exists (select 1 from t where a = 1)
select * from t tablesample system (10) repeatable (5)
select json_build_object('a', 1, 'b', true)
select * from t where a = any('{1,2}')
select * from t where a <> all(array[1,-2])
select grouping(a), sum(a) from t group by rollup(a, c)
select 'x' collate "C", cast('1' as int), int '5', '5'::int
select lag(a, 1, 0) over w from t window w as (order by a)
select distinct on (a) a from t
select a from t for update skip locked
select a::numeric(10,2), -a, - 5, a - 5, a-5, a -5, 3-5, a*-5, (a)-5 from t
