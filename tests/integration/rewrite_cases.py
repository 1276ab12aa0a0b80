"""Pairs of statements for test_rewrite.py, and the tables that they are about."""

from __future__ import annotations

DDL = """
CREATE SCHEMA app;
CREATE TABLE people (id int PRIMARY KEY, city text, mail text NOT NULL, age int NOT NULL);
CREATE INDEX people_age ON people (age);
CREATE TABLE app.orders (id int PRIMARY KEY, person int NOT NULL REFERENCES people,
                         giver int, amount numeric, paid boolean);
CREATE INDEX orders_person ON app.orders (person);
INSERT INTO people SELECT n, CASE WHEN n % 7 > 0 THEN 'c' || n % 5 END, 'm' || n, n % 90
    FROM generate_series(1, 8000) n;
INSERT INTO app.orders SELECT n, 1 + n % 7000, 1 + n % 50, n % 300, n % 3 = 0
    FROM generate_series(1, 12000) n;
CREATE VIEW app.spenders AS SELECT person, sum(amount) AS total FROM app.orders GROUP BY person;
CREATE FUNCTION app.spy() RETURNS int LANGUAGE sql VOLATILE AS
    'INSERT INTO people VALUES (-1, NULL, '''', 1) RETURNING id';
CREATE VIEW app.trap AS SELECT id, app.spy() FROM people;
ANALYZE;
"""

UNEQUAL = [
    (
        "SELECT city FROM people UNION SELECT city FROM people WHERE age = 3",
        "SELECT city FROM people WHERE age = 3 UNION ALL SELECT city FROM people WHERE age = 3",
        "of the rewrite, not the same",
    ),
    (
        "SELECT * FROM people WHERE age = 7 OR mail = 'm1' ORDER BY age + 0, id",
        "SELECT * FROM people WHERE age = 7 OR mail = 'm1' ORDER BY id",
        "order",
    ),
    ("SELECT id FROM people ORDER BY id, city", "SELECT id FROM people", "in no order"),
    (
        "SELECT id, mail FROM people ORDER BY mail",
        "SELECT id, mail AS other FROM people WHERE true LIMIT 1",
        "in no order",
    ),
    ("SELECT id, mail FROM people", "SELECT id, city FROM people WHERE age = 1", "another name"),
    ("SELECT id, mail FROM people", "SELECT id FROM people WHERE age = 1", "number of columns"),
    ("SELECT id FROM people", "SELECT id::bigint AS id FROM people WHERE age = 1", "another type"),
    # Equal but for the constant: random rows may not have it.
    (
        "SELECT id FROM people WHERE city = 'nowhere' OR age = 3",
        "SELECT id FROM people WHERE age = 3",
        "of the rewrite, not the same",
    ),
    # An aggregate over nothing is a row; a group of nothing is none.
    (
        "SELECT count(*) FROM people WHERE age + 0 = 5",
        "SELECT count(*) FROM people WHERE age = 5 GROUP BY age",
        "1 rows, and 0 of the rewrite",
    ),
    (
        "DELETE FROM app.orders WHERE amount = 5",
        "DELETE FROM app.orders WHERE person = 6 AND amount = 5",
        "other rows are changed",
    ),
]

# Right on the rows that there are, and wrong all the same.
TEMPTING = [
    ("SELECT DISTINCT mail FROM people", "SELECT mail FROM people"),
    (
        "SELECT id FROM people WHERE lower(mail) = 'm77'",
        "SELECT id FROM people WHERE mail = 'm77'",
    ),
    (
        "SELECT id FROM people WHERE age + 0 BETWEEN 3 AND 5 AND city = 'c1'",
        "SELECT id FROM people WHERE age >= 3 AND age < 5 AND city = 'c1'",
    ),
    ("SELECT count(giver) FROM app.orders", "SELECT count(*) FROM app.orders"),
    (
        "SELECT id FROM app.orders WHERE NOT (giver + 0 = 5)",
        "SELECT id FROM app.orders WHERE giver <> 5 OR giver IS NULL",
    ),
    (
        "SELECT city FROM people WHERE age + 0 = 3 OR mail = 'm7'",
        "SELECT city FROM people WHERE age = 3 UNION SELECT city FROM people WHERE mail = 'm7'",
    ),
    (
        "SELECT id FROM people WHERE age + 0 = 3 OR mail || '' = 'm7'",
        "SELECT id FROM people WHERE age = 3 UNION ALL SELECT id FROM people WHERE mail = 'm7'",
    ),
    (
        "SELECT id FROM people WHERE age + 0 = 3 UNION SELECT id FROM people WHERE mail = 'm7'",
        "SELECT id FROM people WHERE age = 3 UNION ALL SELECT id FROM people WHERE mail = 'm7'",
    ),
    (
        "SELECT p.id, o.amount FROM people p LEFT JOIN app.orders o ON o.person = p.id + 0",
        "SELECT p.id, o.amount FROM people p JOIN app.orders o ON o.person = p.id",
    ),
    (
        "SELECT p.id FROM people p WHERE EXISTS (SELECT FROM app.orders o WHERE o.person = p.id)",
        "SELECT p.id FROM people p JOIN app.orders o ON o.person = p.id",
    ),
    (
        "SELECT o.id FROM app.orders o WHERE o.giver IN (SELECT id FROM people)",
        "SELECT o.id FROM app.orders o",
    ),
    (
        "SELECT max(age) FROM people WHERE mail || '' = 'm7' GROUP BY city",
        "SELECT max(age) FROM people WHERE mail = 'm7'",
    ),
    (
        "SELECT id FROM people WHERE coalesce(city, 'c1') = 'c1' AND age + 0 = 9",
        "SELECT id FROM people WHERE city = 'c1' AND age = 9",
    ),
    (
        "SELECT id FROM app.orders WHERE amount::int = 5 AND person + 0 = 6",
        "SELECT id FROM app.orders WHERE amount = 5 AND person = 6",
    ),
    (
        "UPDATE app.orders SET paid = true WHERE paid IS NOT TRUE AND person + 0 = 7",
        "UPDATE app.orders SET paid = true WHERE paid = false AND person = 7",
    ),
    (
        "SELECT id FROM people WHERE age + 0 > $1 AND city <> $2",
        "SELECT id FROM people WHERE age >= $1 AND city <> $2",
    ),
]

EQUAL = [
    # Parameters, in every place that they have.
    (
        "SELECT id, mail FROM people WHERE age + 0 = $1 AND city = $2 ORDER BY id LIMIT $3",
        "SELECT id, mail FROM people WHERE age = $1 AND city = $2 ORDER BY id LIMIT $3",
    ),
    (
        "SELECT id FROM people WHERE age + 0 >= $1 AND age + 0 < $2 AND mail LIKE $3",
        "SELECT id FROM people WHERE age >= $1 AND age < $2 AND mail LIKE $3",
    ),
    (
        "SELECT id FROM people WHERE age + 0 = ANY ($1::int[])",
        "SELECT id FROM people WHERE age = ANY ($1::int[])",
    ),
    # Names: qualified, quoted, aliased; a view; a CTE; the system's own.
    (
        'SELECT public.people.id FROM public.people WHERE "public"."people".age + 0 = 5',
        "SELECT id FROM public.people WHERE public.people.age = 5",
    ),
    (
        "WITH o AS (SELECT * FROM app.orders WHERE person + 0 = 4)"
        " SELECT p.mail, o.amount FROM people p JOIN o ON o.person = p.id",
        "SELECT p.mail, o.amount FROM app.orders AS o, people AS p"
        " WHERE o.person = p.id AND o.person = 4",
    ),
    (
        "SELECT total FROM app.spenders WHERE person + 0 = 3",
        "SELECT total FROM app.spenders WHERE person = 3",
    ),
    (
        "SELECT c.relname, p.id FROM pg_class c, people p"
        " WHERE p.age + 0 = 5 AND c.relname = 'pg_class'",
        "SELECT c.relname, p.id FROM pg_class c, people p"
        " WHERE p.age = 5 AND c.relname = 'pg_class'",
    ),
    # A group by the primary key, which the sample has too.
    (
        "SELECT p.id, p.mail, count(*) FROM people p JOIN app.orders o ON o.person = p.id"
        " WHERE p.age + 0 = 9 GROUP BY p.id",
        "SELECT p.id, p.mail, count(*) FROM people p JOIN app.orders o ON o.person = p.id"
        " WHERE p.age = 9 GROUP BY p.id",
    ),
    ("SELECT count(*) > 0 FROM people", "SELECT EXISTS (SELECT FROM people)"),
    (
        "UPDATE people SET city = 'x' WHERE age + 0 = 5 RETURNING id",
        "UPDATE people SET city = 'x' WHERE age = 5 RETURNING id",
    ),
    (
        "DELETE FROM app.orders WHERE person + 0 = $1",
        "DELETE FROM app.orders WHERE person = $1",
    ),
    (
        "SELECT id FROM people WHERE mail <> E'a\\'b' AND mail <> 'm''; DROP TABLE people; --'"
        " AND age + 0 = 4",
        "SELECT id FROM people WHERE mail <> E'a\\'b' AND mail <> 'm''; DROP TABLE people; --'"
        " AND age = 4",
    ),
]

NOT_EXAMINED = [
    ("SELECT 1; SELECT 2", "SELECT 1", "it is not one statement"),
    ("SELEC 1", "SELECT 1", "utility statements are not run"),
    ("EXPLAIN ANALYZE SELECT 1", "SELECT 1", "explain statements are not run"),
    ("SELECT app.spy()", "SELECT 1", "it may write"),
    ("SELECT nextval('s')", "SELECT 1", "it may write"),
    ("SELECT id FROM people FOR UPDATE", "SELECT 1", "it may write"),
    ("SELECT id FROM nobody", "SELECT 1", "the relation nobody is not known"),
    ("SELECT id FROM app.trap", "SELECT 1", "the view app.trap calls app.spy()"),
    ("SELECT id FROM ONLY people", "SELECT 1", "ONLY and TABLESAMPLE"),
    ("INSERT INTO people SELECT * FROM people", "SELECT 1", "insert statements are not run"),
    ("UPDATE people SET age = app.spy()", "SELECT 1", "it may do more than change its table"),
    (
        "WITH people AS (SELECT * FROM people) SELECT * FROM people",
        "SELECT * FROM people",
        "a table and a WITH query have one name",
    ),
    (
        "SELECT id FROM people WHERE age + 0 = 1 AND length($1) = 2",
        "SELECT id FROM people WHERE age = 1 AND length($1) = 2",
        "no comparison tells what $1 may be",
    ),
    (
        "SELECT id, random() FROM people WHERE age + 0 = 5",
        "SELECT id, random() FROM people WHERE age = 5",
        "gives another result each time",
    ),
    (
        "SELECT id FROM people WHERE age + 0 = 5 AND city < 'a' AND city > 'b'",
        "SELECT id FROM people WHERE age = 5 AND city < 'a' AND city > 'b'",
        "give no row to compare",
    ),
    ("SELECT nothing FROM people", "SELECT id FROM people", "PostgreSQL answered 42703"),
]
