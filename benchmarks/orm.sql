-- Statements as Django, SQLAlchemy, ActiveRecord and Hibernate write them, one a line.
SELECT "users"."id", "users"."email", "users"."name" FROM "users" WHERE "users"."id" = 1 LIMIT 21
SELECT "users"."id", "users"."email" FROM "users" WHERE ("users"."active" AND "users"."age" >= 18) ORDER BY "users"."created_at" DESC LIMIT 10 OFFSET 20
SELECT COUNT(*) AS "__count" FROM "users" WHERE "users"."email" LIKE '%@x.org'
SELECT (1) AS "a" FROM "users" WHERE "users"."email" = 'a' LIMIT 1
SELECT "posts"."id", COUNT("posts"."author_id") AS "n" FROM "posts" GROUP BY "posts"."id" HAVING COUNT("posts"."author_id") > 1
SELECT "posts"."id", "users"."name" FROM "posts" INNER JOIN "users" ON ("posts"."author_id" = "users"."id") WHERE (UPPER("users"."name"::text) LIKE UPPER('%a%') AND NOT ("posts"."published" IS NULL))
SELECT "posts"."id" FROM "posts" WHERE "posts"."author_id" IN (1, 2, 3) ORDER BY "posts"."id" ASC
SELECT "posts"."id" FROM "posts" WHERE "posts"."author_id" IN (SELECT U0."id" FROM "users" U0 WHERE U0."org_id" = 1)
SELECT "posts"."id" FROM "posts" WHERE EXISTS(SELECT 1 AS "a" FROM "users" U0 WHERE (U0."id" = ("posts"."author_id") AND U0."age" > 1) LIMIT 1)
SELECT "posts"."published", (EXTRACT(YEAR FROM "posts"."published")) AS "y" FROM "posts" WHERE "posts"."published" BETWEEN '2024-01-01'::date AND '2024-12-31'::date
SELECT DISTINCT DATE_TRUNC('month', "posts"."published") AS "datefield" FROM "posts" WHERE "posts"."published" IS NOT NULL ORDER BY 1 ASC
INSERT INTO "users" ("email", "name", "active", "org_id", "created_at") VALUES ('a', 'b', true, 1, '2024-01-01 00:00:00+00:00'::timestamptz) RETURNING "users"."id"
INSERT INTO "posts" ("author_id", "title") VALUES (1, 'a'), (2, 'b') RETURNING "posts"."id"
UPDATE "users" SET "name" = 'a', "age" = ("users"."age" + 1) WHERE "users"."id" = 1
UPDATE "posts" SET "views" = (CASE WHEN ("posts"."id" = 1) THEN 5 ELSE NULL END)::integer WHERE "posts"."id" IN (1)
DELETE FROM "posts" WHERE "posts"."author_id" IN (1, 2)
SELECT users.id, users.name AS users_name FROM users WHERE users.id = 1::INTEGER
SELECT users.id, users.email FROM users WHERE users.email = 'a'::VARCHAR   LIMIT 1
SELECT anon_1.users_id, orders_1.id FROM (SELECT users.id AS users_id FROM users ORDER BY users.id LIMIT 10 OFFSET 0) AS anon_1 LEFT OUTER JOIN orders AS orders_1 ON anon_1.users_id = orders_1.user_id ORDER BY anon_1.users_id
SELECT orders.user_id AS orders_user_id, orders.id AS orders_id FROM orders WHERE orders.user_id IN (1, 2, 3)
SELECT count(*) AS count_1 FROM (SELECT users.id AS users_id FROM users WHERE users.age > 18) AS anon_1
INSERT INTO users (email, name) VALUES ('a'::VARCHAR, 'b'::VARCHAR) RETURNING users.id, users.created_at
INSERT INTO posts (title, views) SELECT p0::VARCHAR, p1::INTEGER FROM (VALUES ('a', 1, 0)) AS imp_sen(p0, p1, sen_counter) ORDER BY sen_counter RETURNING posts.id, posts.id AS id__1
UPDATE users SET name='a', created_at=now() WHERE users.id = 1 AND users.age = 3
select pg_catalog.version()
SELECT CAST('test plain returns' AS VARCHAR(60)) AS anon_1
SELECT pg_catalog.pg_class.relname FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_catalog.pg_namespace.oid = pg_catalog.pg_class.relnamespace WHERE pg_catalog.pg_class.relname = 'a' AND pg_catalog.pg_class.relkind = ANY (ARRAY['r', 'p', 'f', 'v', 'm']) AND pg_catalog.pg_namespace.nspname != 'pg_catalog'
SELECT "users".* FROM "users" WHERE "users"."id" = 1 LIMIT 1
SELECT "users".* FROM "users" WHERE "users"."deleted_at" IS NULL AND "users"."name" = 'a' ORDER BY "users"."id" ASC LIMIT 1
SELECT 1 AS one FROM "users" WHERE "users"."email" = 'a' AND "users"."id" != 1 LIMIT 1
SELECT "orders".* FROM "orders" WHERE "orders"."user_id" IN (1, 2, 3) AND "orders"."status" NOT IN ('a', 'b')
SELECT DISTINCT "users"."id", "users"."created_at" AS alias_0 FROM "users" LEFT OUTER JOIN "orders" ON "orders"."user_id" = "users"."id" WHERE "orders"."total" > 1.5 ORDER BY "users"."created_at" DESC LIMIT 25 OFFSET 0
SELECT COUNT(*) FROM (SELECT 1 AS one FROM "users" LIMIT 5) subquery_for_count
SELECT SUM("orders"."total") FROM "orders" WHERE "orders"."placed_at" BETWEEN '2024-01-01' AND '2024-12-31'
INSERT INTO "users" ("email","name","tags","data","created_at") VALUES ('a','b','{x}','{}','2024-01-01 10:00:00.123') RETURNING "id"
INSERT INTO "k" ("id","v") VALUES (1,'a'), (2,'b') ON CONFLICT ("id") DO UPDATE SET "v"=excluded."v" RETURNING "id"
UPDATE "users" SET "age" = COALESCE("users"."age", 0) + 1 WHERE "users"."id" = 1
SELECT "users".* FROM "users" WHERE "users"."id" = 7 FOR UPDATE /*application:Shop,controller:users,action:show*/
SELECT "users"."id" FROM "users" WHERE (name ILIKE '%a%' OR email ILIKE '%a%') AND "users"."active" = TRUE
SELECT t.oid, t.typname FROM pg_type as t WHERE t.typname IN ('int2', 'int4')
SELECT pg_try_advisory_lock(12345)
select u1_0.id,u1_0.email,u1_0.name from users u1_0 where u1_0.id=1
select u1_0.id,o1_0.user_id,o1_0.id from users u1_0 left join orders o1_0 on u1_0.id=o1_0.user_id where u1_0.email like 'a%' escape ''
select u1_0.id from users u1_0 where u1_0.name like 'a%' escape '\' and u1_0.age>1 fetch first 10 rows only
select count(u1_0.id) from users u1_0 where lower(u1_0.name)='a' and u1_0.created_at>='2024-01-01'
select user0_.id as id1_0_0_, user0_.name as name2_0_0_ from users user0_ where user0_.id=1
select user0_.id as id1_0_ from users user0_ where user0_.id in (1 , 2 , 3) order by user0_.name desc limit 5 offset 1
select nextval ('seq')
insert into users (email,name,id) values ('a','b',1)
update users set email='a',name='c' where id=1 and age=3
select p1_0.id,p1_0.title from posts p1_0 where p1_0.author_id=1 order by p1_0.published desc offset 0 rows fetch first 10 rows only
select cast(p1_0.published as date), coalesce(sum(p1_0.views),0) from posts p1_0 group by 1
