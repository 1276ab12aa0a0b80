"""pg_dump and pg_restore: equal dumps through the gateway, and equal databases from them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import unified_diff
from itertools import islice
from pathlib import Path

import psycopg
import pytest

from dbopt.demo.cluster import EmbeddedCluster
from tests.fix_pg import Server, fresh_database
from tests.integration.clients.neighbours import neighbours
from tests.integration.clients.routes import Both, Done, Route

SCHEMA = """
SET check_function_bodies = off;
CREATE SCHEMA shop;
COMMENT ON SCHEMA shop IS 'it''s a shop';
CREATE TYPE shop.state AS ENUM ('new', 'paid', 'sent');
CREATE TYPE shop.point AS (x float8, y float8);
CREATE DOMAIN shop.price AS numeric(10, 2) CHECK (VALUE >= 0);
CREATE SEQUENCE shop.tickets START 100 INCREMENT 5;
CREATE TABLE shop.customer (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL COLLATE "C",
    born date, at timestamptz DEFAULT '2024-02-29 12:00+00', place shop.point,
    tags text[] DEFAULT '{}', extra jsonb, photo bytea, ratio float8,
    upper_name text GENERATED ALWAYS AS (upper(name)) STORED
);
CREATE TABLE shop.orders (
    id int, customer int REFERENCES shop.customer ON DELETE CASCADE, state shop.state,
    total shop.price, day date NOT NULL, PRIMARY KEY (id, day)
) PARTITION BY RANGE (day);
CREATE TABLE shop.orders_2024 PARTITION OF shop.orders
    FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE shop.orders_rest PARTITION OF shop.orders DEFAULT;
CREATE INDEX ON shop.orders (state) WHERE state <> 'sent';
CREATE UNIQUE INDEX "odd Name" ON shop.customer (lower(name), born DESC NULLS LAST);
CREATE STATISTICS shop.both (dependencies) ON name, born FROM shop.customer;
CREATE FUNCTION shop.late() RETURNS int LANGUAGE sql SET search_path = shop
    AS $$ SELECT count(*)::int FROM shop.made_later $$;
CREATE TABLE shop.made_later (x int CHECK (x > 0));
CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN NEW.at := '2024-03-01'; RETURN NEW; END$$;
CREATE TRIGGER touch BEFORE UPDATE ON shop.customer FOR EACH ROW EXECUTE FUNCTION shop.touch();
CREATE VIEW shop.paid AS SELECT c.name, o.total FROM shop.orders o
    JOIN shop.customer c ON c.id = o.customer WHERE state = 'paid';
CREATE MATERIALIZED VIEW shop.sums AS SELECT state, sum(total) FROM shop.orders GROUP BY state;
CREATE RULE quiet AS ON DELETE TO shop.made_later DO INSTEAD NOTHING;
ALTER TABLE shop.customer ENABLE ROW LEVEL SECURITY;
CREATE POLICY old ON shop.customer FOR SELECT USING (born < '2000-01-01');
GRANT SELECT ON shop.paid TO pg_monitor;
CREATE UNLOGGED TABLE "shop"."odd "" Table" ("odd ' column" text);
CREATE AGGREGATE shop.total(numeric) (SFUNC = numeric_add, STYPE = numeric, INITCOND = 0);
CREATE TABLE wide (x int, y text) WITH (fillfactor = 70);
"""

DATA = r"""
INSERT INTO shop.customer (name, born, place, tags, extra, photo, ratio)
    SELECT 'näme ' || g || E'\t\\' || g % 3, date '1970-01-01' + g, (g, g / 3.0)::shop.point,
        ARRAY['a', NULL, g::text],
        jsonb_build_object('g', g, 'n', NULL), decode(md5(g::text), 'hex'), 1.1 * g / 7
    FROM generate_series(1, 500) g;
INSERT INTO shop.orders SELECT g, g % 500 + 1,
    (ARRAY['new', 'paid', 'sent'])[g % 3 + 1]::shop.state, g * 1.25,
    date '2023-06-01' + g % 700 FROM generate_series(1, 3000) g;
INSERT INTO shop.made_later VALUES (1), (2);
INSERT INTO shop."odd "" Table" VALUES (E'a\nb'), (NULL), ('\N'), ('\.');
INSERT INTO wide SELECT g, repeat('wide ', 100) FROM generate_series(1, 2000) g;
REFRESH MATERIALIZED VIEW shop.sums;
SELECT nextval('shop.tickets'), lo_from_bytea(424242, 'a large object');
COMMENT ON LARGE OBJECT 424242 IS 'kept';
"""

CHANGING = re.compile(
    r"^\\(un)?restrict .*$|^; +(Archive created at|dbname:|Dumped).*$|dbopt_test_\w+", re.MULTILINE
)
"""What differs between two dumps of one database: a random token, times, the database's name."""


@pytest.fixture(scope="module")
def pool_size() -> int:
    return 4  # --jobs=2 takes three transactions at once


@pytest.fixture
def filled(both: Both) -> Both:
    """The database behind the gateway has what SCHEMA and DATA make; the other is empty."""
    with psycopg.connect(both.gateway.settings.server.dsn, dbname=both.pooled.dbname) as connection:
        connection.execute(SCHEMA)
        connection.execute(DATA)
    return both


@pytest.fixture
def target(pg_backend: Server) -> Iterator[str]:
    """The name of one more empty database."""
    with fresh_database(pg_backend) as dsn:
        yield Route.of(dsn).dbname


def plain(text: str) -> str:
    return CHANGING.sub("", text)


def difference(expected: str, actual: str) -> list[str]:
    """The first lines that differ; a dump is too long to print."""
    lines = plain(expected).splitlines(), plain(actual).splitlines()
    return list(islice(unified_diff(*lines, n=0, lineterm=""), 20))


def ways(both: Both, dbname: str) -> tuple[Route, Route]:
    """Both routes to that database: direct, and through the gateway."""
    direct, pooled = both.direct, both.pooled
    return (
        Route(direct.host, direct.port, direct.user, dbname, direct.password),
        Route(pooled.host, pooled.port, pooled.user, dbname, pooled.password),
    )


def run(cluster: EmbeddedCluster, route: Route, program: str, *arguments: str) -> str:
    done: Done = route.run(cluster.bin(program), *arguments)
    assert (0, "") == (done.code, done.err), done
    return done.out


def contents(cluster: EmbeddedCluster, archive: Path) -> str:
    """An archive's table of contents and its SQL."""
    route = Route("", 0, "", "")
    listing = run(cluster, route, "pg_restore", "--list", str(archive))
    return listing + run(cluster, route, "pg_restore", "--file=-", str(archive))


@pytest.mark.parametrize("options", [(), ("--inserts", "--rows-per-insert=7"), ("--schema-only",)])
def test_plain_dumps_are_equal(
    filled: Both, pg_server: EmbeddedCluster, options: tuple[str, ...]
) -> None:
    direct, pooled = ways(filled, filled.pooled.dbname)
    expected = run(pg_server, direct, "pg_dump", *options)
    with neighbours(pooled.dsn(), 2):
        for _ in range(2):  # the second finds what the first has prepared
            assert [] == difference(expected, run(pg_server, pooled, "pg_dump", *options))
    filled.check_backends()
    assert "CREATE TABLE shop.customer" in expected


@pytest.mark.parametrize("options", [("-Fc",), ("-Fd", "--jobs=2")])
def test_archives_are_equal(
    filled: Both, pg_server: EmbeddedCluster, tmp_path: Path, options: tuple[str, ...]
) -> None:
    direct, pooled = ways(filled, filled.pooled.dbname)
    expected, actual = tmp_path / "expected", tmp_path / "actual"
    run(pg_server, direct, "pg_dump", *options, "-f", str(expected))
    with neighbours(pooled.dsn(), 2):
        run(pg_server, pooled, "pg_dump", *options, "-f", str(actual))
    assert [] == difference(contents(pg_server, expected), contents(pg_server, actual))
    filled.check_backends()


def restore(cluster: EmbeddedCluster, route: Route, dump: Path, *options: str) -> str:
    """Gives what was warned of: a plain dump's BEGIN warns inside of a transaction."""
    if dump.suffix == ".sql":
        quiet = ("-X", "-q", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null")
        done = route.run(cluster.bin("psql"), *quiet, "-f", str(dump), *options)
    else:
        how = ("-d", route.dbname, "--exit-on-error")
        done = route.run(cluster.bin("pg_restore"), *how, *options, str(dump))
    assert 0 == done.code, done
    return done.err


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("sql", ()),
        ("custom", ("--single-transaction",)),
        ("custom", ("--jobs=2",)),
        ("custom", ("--clean", "--if-exists", "--transaction-size=10")),
    ],
)
def test_restored_databases_are_equal(
    filled: Both,
    pg_server: EmbeddedCluster,
    tmp_path: Path,
    target: str,
    form: str,
    options: tuple[str, ...],
) -> None:
    origin, _ = ways(filled, filled.pooled.dbname)
    dump = tmp_path / f"dump.{form}"
    # The fixture's extension is in each new database already.
    how = ("-Fp" if form == "sql" else "-Fc", "--exclude-extension=pg_stat_statements")
    run(pg_server, origin, "pg_dump", *how, "-f", str(dump))
    (direct, _), (look, pooled) = ways(filled, filled.direct.dbname), ways(filled, target)
    warned = restore(pg_server, direct, dump, *options)
    with neighbours(pooled.dsn(), 2):
        assert warned == restore(pg_server, pooled, dump, *options)
    expected = run(pg_server, origin, "pg_dump")
    assert [] == difference(expected, run(pg_server, direct, "pg_dump"))
    assert [] == difference(expected, run(pg_server, look, "pg_dump"))


def test_dump_all_of_the_globals(filled: Both, pg_server: EmbeddedCluster) -> None:
    direct, pooled = ways(filled, filled.pooled.dbname)
    expected = run(pg_server, direct, "pg_dumpall", "--globals-only")
    assert [] == difference(expected, run(pg_server, pooled, "pg_dumpall", "--globals-only"))
