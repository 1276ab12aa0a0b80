-- Cases for squawk and for us, by the rule that each is about. A line "-- case: RULE: what" begins
-- one, and "[...]" at its end has options: transaction (a tool wraps the text in one), or a
-- version of PostgreSQL. The text of a case is all up to the next.

-- case: require-concurrent-index-creation: plain
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE INDEX field_name_idx ON orders (field_name);
-- case: require-concurrent-index-creation: unique
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE UNIQUE INDEX IF NOT EXISTS orders_key ON orders (number);
-- case: require-concurrent-index-creation: concurrently
CREATE INDEX CONCURRENTLY IF NOT EXISTS field_name_idx ON orders (field_name);
-- case: require-concurrent-index-creation: without a name
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE INDEX ON orders (field_name);
-- case: require-concurrent-index-creation: on a new table [transaction]
CREATE TABLE IF NOT EXISTS core_foo (id bigint GENERATED ALWAYS AS IDENTITY, note text);
CREATE INDEX IF NOT EXISTS core_foo_note ON core_foo (note);
-- case: require-concurrent-index-creation: on a new one, each statement by itself
CREATE TABLE core_foo (id bigint GENERATED ALWAYS AS IDENTITY, note text);
CREATE INDEX core_foo_note ON core_foo (note);
-- case: require-concurrent-index-creation: on another table than the new one [transaction]
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE core_foo (id bigint GENERATED ALWAYS AS IDENTITY, note text);
CREATE INDEX core_bar_note ON core_bar (note);
-- case: require-concurrent-index-creation: on the parent alone
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE INDEX IF NOT EXISTS parent_note ON ONLY parent (note);
-- case: require-concurrent-index-creation: on a new materialized view [transaction]
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE MATERIALIZED VIEW sums AS SELECT 1 AS a;
CREATE INDEX sums_a ON sums (a);
-- case: require-concurrent-index-creation: a new table of another schema [transaction]
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE one.t (id bigint);
CREATE INDEX t_id ON two.t (id);
-- case: require-concurrent-index-creation: a new table, with its schema once [transaction]
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE public.t (id bigint);
CREATE INDEX t_id ON t (id);
-- case: require-concurrent-index-creation: an expression and a predicate
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE INDEX lower_email ON users USING btree (lower(email)) WHERE active;
-- case: require-concurrent-index-creation: on a new temporary table [transaction]
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TEMP TABLE t (id bigint);
CREATE INDEX t_id ON t (id);
-- case: require-concurrent-index-creation: a table as a query [transaction]
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE t AS SELECT 1 AS id;
CREATE INDEX t_id ON t (id);
-- case: require-concurrent-index-creation: a new table in capitals [transaction]
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE Orders (id bigint);
CREATE INDEX orders_id ON orders (id);

-- case: require-concurrent-index-deletion: plain
SET lock_timeout = '1s';
SET statement_timeout = '5s';
DROP INDEX IF EXISTS field_name_idx;
-- case: require-concurrent-index-deletion: concurrently
DROP INDEX CONCURRENTLY IF EXISTS field_name_idx;
-- case: require-concurrent-index-deletion: several
SET lock_timeout = '1s';
SET statement_timeout = '5s';
DROP INDEX IF EXISTS one, s.two;
-- case: require-concurrent-index-deletion: in a transaction, as it must be there
SET lock_timeout = '1s';
SET statement_timeout = '5s';
BEGIN;
DROP INDEX IF EXISTS field_name_idx;
COMMIT;

-- case: require-concurrent-reindex: a table
SET lock_timeout = '1s';
SET statement_timeout = '5s';
REINDEX TABLE orders;
-- case: require-concurrent-reindex: an index
SET lock_timeout = '1s';
SET statement_timeout = '5s';
REINDEX INDEX orders_key;
-- case: require-concurrent-reindex: concurrently
REINDEX TABLE CONCURRENTLY orders;
-- case: require-concurrent-reindex: concurrently among the options
SET lock_timeout = '1s';
SET statement_timeout = '5s';
REINDEX (VERBOSE, CONCURRENTLY) INDEX orders_key;
-- case: require-concurrent-reindex: concurrently, but false
SET lock_timeout = '1s';
SET statement_timeout = '5s';
REINDEX (CONCURRENTLY false) INDEX orders_key;
-- case: require-concurrent-reindex: the system's
SET lock_timeout = '1s';
SET statement_timeout = '5s';
REINDEX SYSTEM app;
-- case: require-concurrent-reindex: a schema
REINDEX SCHEMA public;
-- case: require-concurrent-reindex: a database
SET lock_timeout = '1s';
SET statement_timeout = '5s';
REINDEX DATABASE CONCURRENTLY app;

-- case: require-concurrent-partition-detach: plain
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE events DETACH PARTITION events_2024;
-- case: require-concurrent-partition-detach: concurrently
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE events DETACH PARTITION events_2024 CONCURRENTLY;
-- case: require-concurrent-partition-detach: the end of one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE events DETACH PARTITION events_2024 FINALIZE;
-- case: require-concurrent-partition-detach: in a transaction
SET lock_timeout = '1s';
SET statement_timeout = '5s';
BEGIN;
ALTER TABLE events DETACH PARTITION events_2024 CONCURRENTLY;
COMMIT;
-- case: require-concurrent-partition-detach: before version 14 [13]
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE events DETACH PARTITION events_2024;

-- case: ban-concurrent-index-creation-in-transaction: in one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
BEGIN;
CREATE INDEX CONCURRENTLY IF NOT EXISTS email_idx ON app_user (email);
COMMIT;
-- case: ban-concurrent-index-creation-in-transaction: behind one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
BEGIN;
SELECT 1;
COMMIT;
CREATE INDEX CONCURRENTLY IF NOT EXISTS email_idx ON app_user (email);
-- case: ban-concurrent-index-creation-in-transaction: wrapped by the tool [transaction]
CREATE INDEX CONCURRENTLY IF NOT EXISTS email_idx ON app_user (email);
-- case: ban-concurrent-index-creation-in-transaction: wrapped, with others [transaction]
SET lock_timeout = '1s';
SET statement_timeout = '5s';
SELECT 1;
CREATE INDEX CONCURRENTLY IF NOT EXISTS email_idx ON app_user (email);
-- case: ban-concurrent-index-creation-in-transaction: wrapped, but ended first [transaction]
COMMIT;
CREATE INDEX CONCURRENTLY IF NOT EXISTS email_idx ON app_user (email);
BEGIN;
-- case: ban-concurrent-index-creation-in-transaction: a drop in one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
BEGIN;
DROP INDEX CONCURRENTLY IF EXISTS email_idx;
COMMIT;
-- case: ban-concurrent-index-creation-in-transaction: a reindex in one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
BEGIN;
REINDEX INDEX CONCURRENTLY email_idx;
COMMIT;
-- case: ban-concurrent-index-creation-in-transaction: start transaction
SET lock_timeout = '1s';
SET statement_timeout = '5s';
START TRANSACTION;
CREATE INDEX CONCURRENTLY IF NOT EXISTS email_idx ON app_user (email);
COMMIT;

-- case: disallowed-unique-constraint: added
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE users ADD CONSTRAINT users_key UNIQUE (email);
-- case: disallowed-unique-constraint: with a column
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE users ADD COLUMN IF NOT EXISTS email text UNIQUE;
-- case: disallowed-unique-constraint: using an index
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE users ADD CONSTRAINT users_key UNIQUE USING INDEX users_key_idx;
-- case: disallowed-unique-constraint: on a new table [transaction]
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE users (id bigint, email text);
ALTER TABLE users ADD CONSTRAINT users_key UNIQUE (email);
-- case: disallowed-unique-constraint: in a new table [transaction]
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE users (id bigint, email text UNIQUE);
-- case: disallowed-unique-constraint: without a name
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE users ADD UNIQUE (email);

-- case: adding-serial-primary-key-field: a constraint
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE users ADD PRIMARY KEY (id);
-- case: adding-serial-primary-key-field: a column
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE users ADD COLUMN IF NOT EXISTS id serial PRIMARY KEY;
-- case: adding-serial-primary-key-field: using an index
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE users ADD CONSTRAINT users_pkey PRIMARY KEY USING INDEX users_pkey_idx;
-- case: adding-serial-primary-key-field: in a new table [transaction]
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE users (id bigint PRIMARY KEY);
-- case: adding-serial-primary-key-field: a column of another type
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE users ADD COLUMN IF NOT EXISTS id uuid PRIMARY KEY;
-- case: adding-serial-primary-key-field: a named constraint
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE users ADD CONSTRAINT users_pkey PRIMARY KEY (id);

-- case: constraint-missing-not-valid: a check
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE accounts ADD CONSTRAINT positive CHECK (balance >= 0);
-- case: constraint-missing-not-valid: a check, not valid
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE accounts ADD CONSTRAINT positive CHECK (balance >= 0) NOT VALID;
-- case: constraint-missing-not-valid: a foreign key
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE emails ADD CONSTRAINT fk_user FOREIGN KEY (user_id) REFERENCES users (id);
-- case: constraint-missing-not-valid: a foreign key, not valid
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE emails ADD CONSTRAINT fk_user FOREIGN KEY (user_id) REFERENCES users (id) NOT VALID;
-- case: constraint-missing-not-valid: validated behind it, in one transaction
SET lock_timeout = '1s';
SET statement_timeout = '5s';
BEGIN;
ALTER TABLE accounts ADD CONSTRAINT positive CHECK (balance >= 0) NOT VALID;
ALTER TABLE accounts VALIDATE CONSTRAINT positive;
COMMIT;
-- case: constraint-missing-not-valid: validated behind it, wrapped by the tool [transaction]
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE accounts ADD CONSTRAINT positive CHECK (balance >= 0) NOT VALID;
ALTER TABLE accounts VALIDATE CONSTRAINT positive;
-- case: constraint-missing-not-valid: validated in a second transaction
SET lock_timeout = '1s';
SET statement_timeout = '5s';
BEGIN;
ALTER TABLE accounts ADD CONSTRAINT positive CHECK (balance >= 0) NOT VALID;
COMMIT;
BEGIN;
ALTER TABLE accounts VALIDATE CONSTRAINT positive;
COMMIT;
-- case: constraint-missing-not-valid: on a new table [transaction]
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE accounts (balance bigint);
ALTER TABLE accounts ADD CONSTRAINT positive CHECK (balance >= 0);
-- case: constraint-missing-not-valid: on a new one, each statement by itself
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE accounts (balance bigint);
ALTER TABLE accounts ADD CONSTRAINT positive CHECK (balance >= 0);
-- case: constraint-missing-not-valid: without a name
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE accounts ADD CHECK (balance >= 0);
-- case: constraint-missing-not-valid: with a column
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE accounts ADD COLUMN IF NOT EXISTS balance bigint CHECK (balance >= 0);
-- case: constraint-missing-not-valid: not null as a constraint
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE accounts ADD CONSTRAINT has_balance NOT NULL balance;
-- case: constraint-missing-not-valid: not null as a constraint, not valid
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE accounts ADD CONSTRAINT has_balance NOT NULL balance NOT VALID;
-- case: constraint-missing-not-valid: an exclusion
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE bookings ADD CONSTRAINT apart EXCLUDE USING gist (room WITH =, during WITH &&);

-- case: adding-foreign-key-constraint: added
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE emails ADD CONSTRAINT fk_user FOREIGN KEY (user_id) REFERENCES users (id);
-- case: adding-foreign-key-constraint: with a column
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE emails ADD COLUMN IF NOT EXISTS user_id bigint REFERENCES users (id);
-- case: adding-foreign-key-constraint: a new table's [transaction]
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE emails (id bigint, user_id bigint REFERENCES users (id));
-- case: adding-foreign-key-constraint: a new table's constraint [transaction]
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE emails (id bigint, user_id bigint, FOREIGN KEY (user_id) REFERENCES users (id));
-- case: adding-foreign-key-constraint: both are new [transaction]
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE users (id bigint PRIMARY KEY);
CREATE TABLE emails (id bigint, user_id bigint REFERENCES users (id));
-- case: adding-foreign-key-constraint: from a new table to an old one [transaction]
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE emails (id bigint, user_id bigint);
ALTER TABLE emails ADD CONSTRAINT fk_user FOREIGN KEY (user_id) REFERENCES users (id);

-- case: adding-field-with-default: a constant
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE core_recipe ADD COLUMN IF NOT EXISTS foo bigint DEFAULT 10;
-- case: adding-field-with-default: a constant before version 11 [10]
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE core_recipe ADD COLUMN IF NOT EXISTS foo bigint DEFAULT 10;
-- case: adding-field-with-default: random
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE core_recipe ADD COLUMN IF NOT EXISTS foo double precision DEFAULT random();
-- case: adding-field-with-default: a uuid
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE core_recipe ADD COLUMN IF NOT EXISTS foo uuid DEFAULT gen_random_uuid();
-- case: adding-field-with-default: now
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE core_recipe ADD COLUMN IF NOT EXISTS foo timestamptz DEFAULT now();
-- case: adding-field-with-default: current_timestamp
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE core_recipe ADD COLUMN IF NOT EXISTS foo timestamptz DEFAULT current_timestamp;
-- case: adding-field-with-default: clock_timestamp
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE core_recipe ADD COLUMN IF NOT EXISTS foo timestamptz DEFAULT clock_timestamp();
-- case: adding-field-with-default: a function of one's own
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE core_recipe ADD COLUMN IF NOT EXISTS foo text DEFAULT our_name();
-- case: adding-field-with-default: arithmetic
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE core_recipe ADD COLUMN IF NOT EXISTS foo bigint DEFAULT 1 + 2;
-- case: adding-field-with-default: a cast
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE core_recipe ADD COLUMN IF NOT EXISTS foo jsonb DEFAULT '{}'::jsonb;
-- case: adding-field-with-default: an array
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE core_recipe ADD COLUMN IF NOT EXISTS foo text[] DEFAULT ARRAY[]::text[];
-- case: adding-field-with-default: generated and stored
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE core_recipe ADD COLUMN IF NOT EXISTS foo bigint GENERATED ALWAYS AS (a + b) STORED;
-- case: adding-field-with-default: generated and virtual
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE core_recipe ADD COLUMN IF NOT EXISTS foo bigint GENERATED ALWAYS AS (a + b) VIRTUAL;
-- case: adding-field-with-default: set afterwards
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE core_recipe ADD COLUMN IF NOT EXISTS foo bigint;
ALTER TABLE core_recipe ALTER COLUMN foo SET DEFAULT 10;
-- case: adding-field-with-default: nextval
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE core_recipe ADD COLUMN IF NOT EXISTS foo bigint DEFAULT nextval('foo_seq');
-- case: adding-field-with-default: on a new table [transaction]
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE core_recipe (id bigint);
ALTER TABLE core_recipe ADD COLUMN IF NOT EXISTS foo uuid DEFAULT gen_random_uuid();
-- case: adding-field-with-default: negative and true
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE core_recipe ADD COLUMN IF NOT EXISTS a bigint DEFAULT -1, ADD COLUMN IF NOT EXISTS b boolean DEFAULT true;

-- case: adding-required-field: without a default
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE core_recipe ADD COLUMN IF NOT EXISTS foo bigint NOT NULL;
-- case: adding-required-field: with a default
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE core_recipe ADD COLUMN IF NOT EXISTS foo bigint NOT NULL DEFAULT 0;
-- case: adding-required-field: that may be NULL
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE core_recipe ADD COLUMN IF NOT EXISTS foo bigint;
-- case: adding-required-field: generated
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE core_recipe ADD COLUMN IF NOT EXISTS foo bigint NOT NULL GENERATED ALWAYS AS (a + 1) STORED;
-- case: adding-required-field: an identity
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE core_recipe ADD COLUMN IF NOT EXISTS foo bigint GENERATED ALWAYS AS IDENTITY NOT NULL;
-- case: adding-required-field: on a new table [transaction]
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE core_recipe (id bigint);
ALTER TABLE core_recipe ADD COLUMN IF NOT EXISTS foo bigint NOT NULL;

-- case: adding-not-nullable-field: plain
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE core_recipe ALTER COLUMN foo SET NOT NULL;
-- case: adding-not-nullable-field: behind a validated check
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE core_recipe ADD CONSTRAINT foo_there CHECK (foo IS NOT NULL) NOT VALID;
ALTER TABLE core_recipe VALIDATE CONSTRAINT foo_there;
ALTER TABLE core_recipe ALTER COLUMN foo SET NOT NULL;
-- case: adding-not-nullable-field: behind one of another column
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE core_recipe ADD CONSTRAINT bar_there CHECK (bar IS NOT NULL) NOT VALID;
ALTER TABLE core_recipe VALIDATE CONSTRAINT bar_there;
ALTER TABLE core_recipe ALTER COLUMN foo SET NOT NULL;
-- case: adding-not-nullable-field: behind one that is not validated
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE core_recipe ADD CONSTRAINT foo_there CHECK (foo IS NOT NULL) NOT VALID;
ALTER TABLE core_recipe ALTER COLUMN foo SET NOT NULL;
-- case: adding-not-nullable-field: a validated check before version 12 [11]
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE core_recipe ADD CONSTRAINT foo_there CHECK (foo IS NOT NULL) NOT VALID;
ALTER TABLE core_recipe VALIDATE CONSTRAINT foo_there;
ALTER TABLE core_recipe ALTER COLUMN foo SET NOT NULL;
-- case: adding-not-nullable-field: on a new table [transaction]
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE core_recipe (foo bigint);
ALTER TABLE core_recipe ALTER COLUMN foo SET NOT NULL;
-- case: adding-not-nullable-field: dropped
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE core_recipe ALTER COLUMN foo DROP NOT NULL;

-- case: changing-column-type: to bigint
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE core_recipe ALTER COLUMN edits TYPE bigint USING edits::bigint;
-- case: changing-column-type: to timestamptz
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE core_recipe ALTER COLUMN made SET DATA TYPE timestamptz;
-- case: changing-column-type: of a new table [transaction]
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE core_recipe (edits bigint);
ALTER TABLE core_recipe ALTER COLUMN edits TYPE text;
-- case: changing-column-type: several
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE core_recipe ALTER COLUMN a TYPE text, ALTER b TYPE text;
-- case: changing-column-type: of a composite type
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TYPE pair ALTER ATTRIBUTE a TYPE text;

-- case: require-timeout-settings: none
ALTER TABLE t ADD COLUMN IF NOT EXISTS c boolean;
-- case: require-timeout-settings: both
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE t ADD COLUMN IF NOT EXISTS c boolean;
-- case: require-timeout-settings: one of two
SET lock_timeout = '1s';
ALTER TABLE t ADD COLUMN IF NOT EXISTS c boolean;
-- case: require-timeout-settings: the other
SET statement_timeout = '5s';
ALTER TABLE t ADD COLUMN IF NOT EXISTS c boolean;
-- case: require-timeout-settings: behind it
ALTER TABLE t ADD COLUMN IF NOT EXISTS c boolean;
SET lock_timeout = '1s';
SET statement_timeout = '5s';
-- case: require-timeout-settings: local
BEGIN;
SET LOCAL lock_timeout = '1s';
SET LOCAL statement_timeout = '5s';
ALTER TABLE t ADD COLUMN IF NOT EXISTS c boolean;
COMMIT;
-- case: require-timeout-settings: only a query
SELECT 1;
-- case: require-timeout-settings: a new table [transaction]
CREATE TABLE t (id bigint);
-- case: require-timeout-settings: an index
CREATE INDEX CONCURRENTLY IF NOT EXISTS t_a ON t (a);
-- case: require-timeout-settings: a drop
DROP TABLE IF EXISTS t;
-- case: require-timeout-settings: by set_config
SELECT set_config('lock_timeout', '1s', false);
SELECT set_config('statement_timeout', '5s', false);
ALTER TABLE t ADD COLUMN IF NOT EXISTS c boolean;
-- case: require-timeout-settings: taken back
SET lock_timeout = '1s';
SET statement_timeout = '5s';
RESET lock_timeout;
ALTER TABLE t ADD COLUMN IF NOT EXISTS c boolean;
-- case: require-timeout-settings: switched off
SET lock_timeout = 0;
SET statement_timeout = 0;
ALTER TABLE t ADD COLUMN IF NOT EXISTS c boolean;

-- case: transaction-nesting: begin twice
BEGIN;
BEGIN;
SELECT 1;
COMMIT;
-- case: transaction-nesting: in the tool's [transaction]
BEGIN;
SELECT 1;
COMMIT;
-- case: transaction-nesting: commit twice
BEGIN;
SELECT 1;
COMMIT;
COMMIT;
-- case: transaction-nesting: one by one
BEGIN;
SELECT 1;
COMMIT;
BEGIN;
SELECT 1;
ROLLBACK;
-- case: transaction-nesting: a rollback of nothing
ROLLBACK;
-- case: transaction-nesting: a savepoint
BEGIN;
SAVEPOINT a;
ROLLBACK TO SAVEPOINT a;
COMMIT;

-- case: ban-uncommitted-transaction: open
BEGIN;
SELECT 1;
-- case: ban-uncommitted-transaction: closed
BEGIN;
SELECT 1;
COMMIT;
-- case: ban-uncommitted-transaction: prepared
BEGIN;
SELECT 1;
PREPARE TRANSACTION 'a';
-- case: ban-uncommitted-transaction: to a savepoint alone
BEGIN;
SAVEPOINT a;
ROLLBACK TO a;

-- case: prefer-robust-stmts: a column
ALTER TABLE t ADD COLUMN c boolean;
-- case: prefer-robust-stmts: in a transaction
BEGIN;
ALTER TABLE t ADD COLUMN c boolean;
ALTER TABLE t ADD COLUMN d boolean;
COMMIT;
-- case: prefer-robust-stmts: two without one
ALTER TABLE t ADD COLUMN c boolean;
ALTER TABLE t ADD COLUMN d boolean;
-- case: prefer-robust-stmts: two with if not exists
ALTER TABLE t ADD COLUMN IF NOT EXISTS c boolean;
ALTER TABLE t ADD COLUMN IF NOT EXISTS d boolean;
-- case: prefer-robust-stmts: two tables
CREATE TABLE a (id bigint);
CREATE TABLE b (id bigint);
-- case: prefer-robust-stmts: two tables, if they are not there
CREATE TABLE IF NOT EXISTS a (id bigint);
CREATE TABLE IF NOT EXISTS b (id bigint);
-- case: prefer-robust-stmts: two concurrent indexes
CREATE INDEX CONCURRENTLY a ON t (x);
CREATE INDEX CONCURRENTLY b ON t (y);
-- case: prefer-robust-stmts: a concurrent index without a name
CREATE INDEX CONCURRENTLY ON t (x);
CREATE INDEX CONCURRENTLY ON t (y);
-- case: prefer-robust-stmts: two drops
DROP INDEX CONCURRENTLY a;
DROP INDEX CONCURRENTLY b;
-- case: prefer-robust-stmts: a constraint, dropped first
ALTER TABLE t DROP CONSTRAINT IF EXISTS c;
ALTER TABLE t ADD CONSTRAINT c CHECK (x > 0) NOT VALID;
-- case: prefer-robust-stmts: a constraint
ALTER TABLE t ADD CONSTRAINT c CHECK (x > 0) NOT VALID;
ALTER TABLE t VALIDATE CONSTRAINT c;
-- case: prefer-robust-stmts: a constraint, dropped for sure
ALTER TABLE t DROP CONSTRAINT c;
ALTER TABLE t DROP CONSTRAINT d;
-- case: prefer-robust-stmts: wrapped by the tool [transaction]
ALTER TABLE t ADD COLUMN c boolean;
ALTER TABLE t ADD COLUMN d boolean;
-- case: prefer-robust-stmts: row security
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
-- case: prefer-robust-stmts: a query and one change
SELECT 1;
ALTER TABLE t ADD COLUMN c boolean;
-- case: prefer-robust-stmts: a drop of a column
ALTER TABLE t DROP COLUMN a;
ALTER TABLE t DROP COLUMN b;

-- case: identifier-too-long: an index
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE INDEX CONCURRENTLY IF NOT EXISTS a_name_that_is_so_long_that_postgresql_cuts_it_to_sixty_three_bytes ON t (a);
-- case: identifier-too-long: of 63 bytes
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE INDEX CONCURRENTLY IF NOT EXISTS a23456789012345678901234567890123456789012345678901234567890123 ON t (a);
-- case: identifier-too-long: a column, in quotes
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE t ADD COLUMN IF NOT EXISTS "a name that is so long that postgresql cuts it to sixty-three bytes" text;
-- case: identifier-too-long: of letters of two bytes
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE IF NOT EXISTS "ääääääääääääääääääääääääääääääääää" (id bigint);

-- case: prefer-repack: vacuum full [19]
SET lock_timeout = '1s';
SET statement_timeout = '5s';
VACUUM FULL orders;
-- case: prefer-repack: vacuum [19]
VACUUM orders;
-- case: prefer-repack: cluster [19]
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CLUSTER orders USING orders_pkey;
-- case: prefer-repack: vacuum full, in its options [19]
SET lock_timeout = '1s';
SET statement_timeout = '5s';
VACUUM (FULL, ANALYZE) orders;
-- case: prefer-repack: vacuum without full [19]
SET lock_timeout = '1s';
SET statement_timeout = '5s';
VACUUM (FULL false, ANALYZE) orders;

-- case: renaming-column: one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE posts RENAME COLUMN title TO heading;
-- case: renaming-column: a view's
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER VIEW posts RENAME COLUMN title TO heading;
-- case: renaming-column: a constraint
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE posts RENAME CONSTRAINT a TO b;
-- case: renaming-table: one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE posts RENAME TO articles;
-- case: renaming-table: an index
ALTER INDEX posts_idx RENAME TO articles_idx;
-- case: renaming-table: a new one [transaction]
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE posts (id bigint);
ALTER TABLE posts RENAME TO articles;
-- case: renaming-object: a view
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER VIEW posts RENAME TO articles;
-- case: renaming-object: a sequence
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER SEQUENCE a RENAME TO b;
-- case: renaming-object: a type's value
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TYPE mood RENAME VALUE 'sad' TO 'blue';
-- case: renaming-object: a schema
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER SCHEMA a RENAME TO b;

-- case: ban-drop-column: one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE t DROP COLUMN IF EXISTS a;
-- case: ban-drop-column: with a constraint
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE t DROP COLUMN IF EXISTS a, DROP CONSTRAINT IF EXISTS c;
-- case: ban-drop-table: one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
DROP TABLE IF EXISTS t;
-- case: ban-drop-table: a temporary one of this text [transaction]
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TEMP TABLE t (id bigint);
DROP TABLE IF EXISTS t;
-- case: ban-drop-database: one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
DROP DATABASE IF EXISTS app;
-- case: ban-drop-not-null: one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE t ALTER COLUMN a DROP NOT NULL;
-- case: ban-truncate-cascade: with
SET lock_timeout = '1s';
SET statement_timeout = '5s';
TRUNCATE orders CASCADE;
-- case: ban-truncate-cascade: without
SET lock_timeout = '1s';
SET statement_timeout = '5s';
TRUNCATE orders;
-- case: ban-drop-view: one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
DROP VIEW IF EXISTS v;
-- case: ban-drop-view: materialized
SET lock_timeout = '1s';
SET statement_timeout = '5s';
DROP MATERIALIZED VIEW IF EXISTS v;
-- case: ban-drop-function: one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
DROP FUNCTION IF EXISTS f(integer);
-- case: ban-drop-type: one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
DROP TYPE IF EXISTS mood;
-- case: ban-drop-schema: one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
DROP SCHEMA IF EXISTS s;
-- case: ban-drop-sequence: one
DROP SEQUENCE IF EXISTS s;
-- case: ban-drop-domain: one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
DROP DOMAIN IF EXISTS d;
-- case: ban-drop-constraint: one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE t DROP CONSTRAINT IF EXISTS c;
-- case: ban-drop-generated-expression: one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE t ALTER COLUMN a DROP EXPRESSION IF EXISTS;
-- case: ban-drop-extension: one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
DROP EXTENSION IF EXISTS hstore;
-- case: ban-drop-policy: one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
DROP POLICY IF EXISTS p ON t;
-- case: ban-drop-index: one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
DROP INDEX CONCURRENTLY IF EXISTS a;
-- case: ban-set-schema: one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE t SET SCHEMA s;
-- case: ban-alter-identity: one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE t ALTER COLUMN id SET GENERATED ALWAYS;
-- case: ban-alter-generated-expression: one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE t ALTER COLUMN a SET EXPRESSION AS (b + 1);
-- case: ban-set-default: one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE t ALTER COLUMN a SET DEFAULT 5;
-- case: ban-drop-default: one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE t ALTER COLUMN a DROP DEFAULT;
-- case: ban-disable-trigger: one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE t DISABLE TRIGGER audit;
-- case: ban-disable-trigger: enabled
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE t ENABLE TRIGGER audit;
-- case: ban-replica-identity: nothing
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE t REPLICA IDENTITY NOTHING;
-- case: ban-replica-identity: full
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE t REPLICA IDENTITY FULL;
-- case: ban-revoke: one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
REVOKE SELECT ON t FROM reader;
-- case: ban-revoke: granted
SET lock_timeout = '1s';
SET statement_timeout = '5s';
GRANT SELECT ON t TO reader;
-- case: ban-replace-view-function: a view
CREATE OR REPLACE VIEW v AS SELECT 1 AS a;
-- case: ban-replace-view-function: a new view
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE VIEW v AS SELECT 1 AS a;
-- case: ban-replace-view-function: a function
CREATE OR REPLACE FUNCTION f() RETURNS bigint LANGUAGE sql AS 'SELECT 1';
-- case: ban-alter-policy-condition: one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER POLICY p ON t USING (owner = current_user);
-- case: ban-alter-policy-roles: one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER POLICY p ON t TO reader;
-- case: ban-create-policy: one
CREATE POLICY p ON t USING (owner = current_user);
-- case: ban-alter-function-options: one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER FUNCTION f(integer) SECURITY DEFINER;
-- case: ban-alter-view-options: one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER VIEW v SET (security_invoker = true);
-- case: ban-alter-role-options: one
ALTER ROLE reader NOLOGIN;
-- case: ban-alter-database-options: one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER DATABASE app SET work_mem = '64MB';
-- case: ban-alter-row-level-security: one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE t FORCE ROW LEVEL SECURITY;
-- case: ban-alter-system-options: one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER SYSTEM SET work_mem = '64MB';
-- case: ban-alter-extension: one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER EXTENSION hstore UPDATE;
-- case: ban-new-write-restriction: a check
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE t ADD CONSTRAINT c CHECK (id > 0) NOT VALID;
-- case: ban-new-write-restriction: a unique index
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS t_a ON t (a);
-- case: ban-add-enum-value: one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TYPE mood ADD VALUE IF NOT EXISTS 'glad' AFTER 'sad';
-- case: require-enum-value-ordering: without
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TYPE mood ADD VALUE IF NOT EXISTS 'glad';
-- case: require-enum-value-ordering: before
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TYPE mood ADD VALUE IF NOT EXISTS 'glad' BEFORE 'sad';
-- case: ban-add-composite-attribute: one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TYPE pair ADD ATTRIBUTE c text;
-- case: ban-add-column: one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE t ADD COLUMN IF NOT EXISTS c text;
-- case: ban-detach-inheritance: one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE child NO INHERIT parent;
-- case: ban-alter-sequence-values: one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER SEQUENCE s RESTART WITH 100;
-- case: ban-alter-domain-with-add-constraint: one
ALTER DOMAIN d ADD CONSTRAINT c CHECK (VALUE > 0);
-- case: ban-alter-domain-with-add-constraint: not valid
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER DOMAIN d ADD CONSTRAINT c CHECK (VALUE > 0) NOT VALID;
-- case: ban-alter-domain-with-add-constraint: a default
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER DOMAIN d SET DEFAULT 0;
-- case: ban-create-domain-with-constraint: with
CREATE DOMAIN d AS bigint CHECK (VALUE > 0);
-- case: ban-create-domain-with-constraint: without
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE DOMAIN d AS bigint;
-- case: require-table-schema: without
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE IF NOT EXISTS t (id bigint);
-- case: require-table-schema: with
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE IF NOT EXISTS public.t (id bigint);

-- case: ban-char-field: with a length
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE IF NOT EXISTS t (a char(10));
-- case: ban-char-field: alone
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE IF NOT EXISTS t (a character);
-- case: ban-char-field: bpchar
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE t ADD COLUMN IF NOT EXISTS a bpchar;
-- case: ban-char-field: text
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE IF NOT EXISTS t (a text);
-- case: prefer-text-field: a length
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE IF NOT EXISTS t (a varchar(100));
-- case: prefer-text-field: added
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE t ADD COLUMN IF NOT EXISTS a character varying(100);
-- case: prefer-text-field: no length
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE IF NOT EXISTS t (a varchar);
-- case: prefer-text-field: changed to
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE t ALTER COLUMN a TYPE varchar(1000);
-- case: prefer-bigint-over-int: int
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE IF NOT EXISTS t (a int);
-- case: prefer-bigint-over-int: int4
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE IF NOT EXISTS t (a int4, b integer);
-- case: prefer-bigint-over-int: serial
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE IF NOT EXISTS t (a serial);
-- case: prefer-bigint-over-int: bigint
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE IF NOT EXISTS t (a bigint, b int8);
-- case: prefer-bigint-over-int: added
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE t ADD COLUMN IF NOT EXISTS a integer;
-- case: prefer-bigint-over-int: an array
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE IF NOT EXISTS t (a integer[]);
-- case: prefer-bigint-over-smallint: one
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE IF NOT EXISTS t (a smallint);
-- case: prefer-bigint-over-smallint: int2 and smallserial
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE IF NOT EXISTS t (a int2, b smallserial);
-- case: prefer-identity: serial
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE IF NOT EXISTS t (id serial PRIMARY KEY);
-- case: prefer-identity: bigserial
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE IF NOT EXISTS t (id bigserial PRIMARY KEY);
-- case: prefer-identity: identity
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE IF NOT EXISTS t (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY);
-- case: prefer-timestamp-tz: timestamp
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE IF NOT EXISTS t (a timestamp);
-- case: prefer-timestamp-tz: without time zone
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE t ADD COLUMN IF NOT EXISTS a timestamp(3) without time zone;
-- case: prefer-timestamp-tz: with time zone
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE IF NOT EXISTS t (a timestamp with time zone, b timestamptz);
-- case: prefer-timestamp-tz: changed to
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE t ALTER COLUMN a TYPE timestamp;

-- Sequences that squawk's pages propose or warn of, with other names.

-- case: disallowed-unique-constraint: the constraint is changed for one with a ready index
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS seats_new ON "seats" ("number");
ALTER TABLE seats DROP CONSTRAINT seats_pkey, ADD CONSTRAINT seats_pkey PRIMARY KEY USING INDEX seats_new;
-- case: adding-foreign-key-constraint: not valid, then validated
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE "mail" ADD CONSTRAINT "fk_owner" FOREIGN KEY ("owner_id") REFERENCES "owner" ("id") NOT VALID;
ALTER TABLE "mail" VALIDATE CONSTRAINT "fk_owner";
-- case: adding-foreign-key-constraint: a new table, not valid, then validated [transaction]
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE mail (id bigint GENERATED ALWAYS AS IDENTITY, owner_id bigint, PRIMARY KEY (id));
ALTER TABLE "mail" ADD CONSTRAINT "fk_owner" FOREIGN KEY ("owner_id") REFERENCES "owner" ("id") NOT VALID;
ALTER TABLE "mail" VALIDATE CONSTRAINT "fk_owner";
-- case: adding-foreign-key-constraint: a named one of a new table [transaction]
SET lock_timeout = '1s';
SET statement_timeout = '5s';
CREATE TABLE mail (
    id bigint GENERATED ALWAYS AS IDENTITY,
    owner_id bigint,
    PRIMARY KEY (id),
    CONSTRAINT fk_owner FOREIGN KEY ("owner_id") REFERENCES "owner" ("id")
);
-- case: adding-field-with-default: volatile, set afterwards
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE "members" ADD COLUMN IF NOT EXISTS "team" bigint;
ALTER TABLE "members" ALTER COLUMN "team" SET DEFAULT random();
-- case: adding-required-field: with a default that is no number
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE "dish" ADD COLUMN IF NOT EXISTS "open" boolean NOT NULL DEFAULT false;
-- case: adding-not-nullable-field: checked, filled, validated, set
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE "dish" ADD CONSTRAINT views_there CHECK ("views" IS NOT NULL) NOT VALID;
UPDATE dish SET views = 0 WHERE views IS NULL AND id < 1000;
ALTER TABLE "dish" VALIDATE CONSTRAINT views_there;
ALTER TABLE dish ALTER COLUMN views SET NOT NULL;
-- case: ban-concurrent-index-creation-in-transaction: behind what is transactional
SET lock_timeout = '1s';
SET statement_timeout = '5s';
BEGIN;
ALTER TABLE members ADD COLUMN mail text;
COMMIT;
CREATE INDEX CONCURRENTLY IF NOT EXISTS members_mail ON "members" ("mail");
-- case: prefer-robust-stmts: a column, and its index
ALTER TABLE "members" ADD COLUMN "mail" text NULL;
CREATE INDEX CONCURRENTLY "members_mail" ON "members" ("mail");
-- case: prefer-robust-stmts: a drop of a table
DROP TABLE "dish";
-- case: prefer-robust-stmts: a drop of an index that is not concurrent
DROP INDEX "members_mail";
-- case: changing-column-type: a new column, a lock, a name
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE members ADD COLUMN IF NOT EXISTS new_id bigint;
BEGIN;
LOCK TABLE members;
ALTER TABLE members RENAME COLUMN new_id TO id;
COMMIT;
-- case: changing-column-type: to text
SET lock_timeout = '1s';
SET statement_timeout = '5s';
ALTER TABLE members ALTER COLUMN nick TYPE text;
