-- What data_index_forms.sql is about: a column of each kind, functions and operators of one's own.
CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE EXTENSION pg_trgm; CREATE EXTENSION ltree;
CREATE EXTENSION btree_gin; CREATE EXTENSION btree_gist; CREATE EXTENSION intarray; CREATE EXTENSION bloom;
CREATE SCHEMA s;
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TYPE pair AS (a int, b varchar);
CREATE DOMAIN mail AS varchar(80);
CREATE DOMAIN dom AS mail CHECK (value <> '');
CREATE FUNCTION f(n int, m int DEFAULT 1) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT n + m';
CREATE FUNCTION s.f(n int, m int DEFAULT 1) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT n - m';
CREATE FUNCTION s."F g"(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION unaccented(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION xmlish(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION earthy(point) RETURNS float8 IMMUTABLE LANGUAGE sql AS 'SELECT $1[0]';
CREATE FUNCTION exists_(text[], text) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT $2 = ANY ($1)';
CREATE FUNCTION array_to_string_(text[]) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT array_to_string($1, '','')';
CREATE OPERATOR s.|+| (FUNCTION = s.f, LEFTARG = int, RIGHTARG = int);
CREATE OPERATOR CLASS gin_catch_ops FOR TYPE text USING btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 bttextcmp(text, text);
CREATE TABLE t (
    id int, tiny smallint, big bigint, amount numeric(10, 2), score float8, note text, status varchar(20), code char(3),
    chr "char", nam name, oid_ oid, mail mail, dom dom, mood mood, ok bool, deleted_at timestamptz, at timestamptz,
    gone_at timestamp, day date, tm time, span interval, doc jsonb, jdoc json, tags text[], vtags varchar[], nums int[],
    words tsvector, during int4range, spot point, area box, net inet, mac macaddr, uid_ uuid, bits bit(4), bin bytea,
    cash money, pair pair, kv hstore, path ltree, g citext, named text COLLATE "C", nine int, "Col 1" text, "user" text
);
