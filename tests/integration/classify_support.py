"""Tables for tests/unit/sql/data/classify_*.tsv, and what the server has locked."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import LiteralString, NamedTuple

import psycopg
from psycopg import pq

from dbopt.sql.lexer import code
from dbopt.sql.query import Relation

OBJECTS: LiteralString = """
    create table a (
        id int, n int, b_id int, txt text, js jsonb, arr int[], ts timestamptz, dt date
    );
    create table b (like a);
    create table c (like a);
    create table s.b (like a);
    create table onlyid (id int);
    create table k (id int primary key, n int, txt text);
    create table p (id int, n int) partition by range (id);
    create table p1 partition of p for values from (0) to (10);
    create table key (id int);
    create table share (id int);
    create sequence sq;
    create view v as select a.id, a.n from a join b on a.id = b.id;
    create view vv as select v.id, c.n from v join c on c.id = v.id;
    create view v2 as select id, n from c where n > 0;
    create view noted as select id, vol(n) from a;
    create materialized view m as select id from a;
    create type ty as (q int, r text);
    insert into a (id, n) select i, i from generate_series(1, 3) i;
    insert into b (id, n) select i, i from generate_series(1, 3) i;
"""
FUNCTIONS: LiteralString = """
    create function f(int) returns int language sql immutable as 'select $1';
    create table log (id int);
    create function vol(int) returns int language plpgsql volatile
        as 'begin insert into log values ($1); return $1; end';
    create function srf() returns setof int language sql stable as 'select 1';
    create schema s;
    create function s.lower(text) returns text language sql stable as 'select $1';
    create procedure pr(int) language sql as 'select $1';
"""
LOCKS: LiteralString = """
    select n.nspname, c.relname, array_agg(l.mode)
    from pg_locks l
    join pg_class c on c.oid = l.relation
    join pg_namespace n on n.oid = c.relnamespace
    where l.pid = pg_backend_pid() and l.locktype = 'relation'
        and c.relkind in ('r', 'p', 'v', 'm', 'f')
        and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
    group by 1, 2
"""
COLUMNS: LiteralString = """
    select n.nspname, c.relname, a.attname
    from pg_rewrite r
    join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
        and d.refclassid = 'pg_class'::regclass
    join pg_class c on c.oid = d.refobjid
    join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attnum = d.refobjsubid
    where r.ev_class = 'as_view'::regclass
"""
_READING = {"AccessShareLock", "RowShareLock"}


class Locked(NamedTuple):
    """What an EXPLAIN locks for reading and for writing."""

    reads: set[Relation]
    writes: set[Relation]


def sqlstate(result: pq.abc.PGresult) -> str:
    """The SQLSTATE of a result, "" of one that is no error."""
    state = result.error_field(pq.DiagnosticField.SQLSTATE)
    return state.decode() if state else ""


def locked(conn: psycopg.Connection, text: str) -> Locked | None:
    """What EXPLAIN of a statement locks; None where the server refuses it."""
    with conn.transaction(force_rollback=True):
        explained = conn.pgconn.exec_(b"explain (generic_plan) " + text.encode())
        if sqlstate(explained):
            return None
        rows = conn.execute(LOCKS).fetchall()
    by_mode = [(Relation(schema, name), set(modes)) for schema, name, modes in rows]
    return Locked(
        {relation for relation, modes in by_mode if modes & _READING},
        {relation for relation, modes in by_mode if "RowExclusiveLock" in modes},
    )


def columns_of(conn: psycopg.Connection, query: str) -> set[tuple[Relation, str]] | None:
    """The columns that a query names, as a view of it depends on them; None where none can be."""
    with conn.transaction(force_rollback=True):
        made = f"create view as_view as select 1 as one from ({query}) as q"
        if sqlstate(conn.pgconn.exec_(made.encode())):
            return None
        rows = conn.execute(COLUMNS).fetchall()
    return {(Relation(schema, name), column) for schema, name, column in rows}


def outcome(conn: psycopg.Connection, text: str) -> str:
    """Run a text as one simple query; the SQLSTATE of the error that it ends in, or ""."""
    pgconn, state = conn.pgconn, ""
    pgconn.send_query(text.encode())
    while (result := pgconn.get_result()) is not None:
        state = state or sqlstate(result)
        if result.status == pq.ExecStatus.COPY_OUT:
            while pgconn.get_copy_data(0)[0] > 0:
                pass
        elif result.status == pq.ExecStatus.COPY_IN:
            pgconn.put_copy_end(b"not here")
    return state


_WRAPPED = (
    "select * from ({}) q",
    "select ({})",
    "select exists ({})",
    "select array ({})",
    "with q as ({}) select * from q",
    "with recursive q as (({})) select * from q",
    "explain analyze {}",
    "explain (analyze false) {}",
    "copy ({}) to stdout",
    "({})",
    "({}) union all ({})",
    "{}; {}",
    "prepare mine as {}; execute mine",
    "begin; declare mine cursor for {}; fetch all mine",
    "select vol(1) from ({}) q",
    "create temp table mine as {}",
)
_WORDS = (
    "( ) , ; . as with recursive select from where into only lateral join using on for update share"
    " union all exists not in any case when end is distinct explain analyze verbose copy to stdout"
    " values table returning insert delete merge set default 1 'x' $$y$$ $1 * + :: operator vol f"
    ' "vol" "f" s.lower nextval(\'sq\') vol(1) (vol(2)) now() current_user a b c v noted over'
    " filter operator(pg_catalog.+) pg_advisory_xact_lock(1) set_config('a.b','c',true) as(a) q(id)"
    " temp mine pg_catalog.vol public.vol cube(1) rollup(n) by join left (select) limit 1 order"
)
_PIECES = _WORDS.split(" ")


def mutant(rng: random.Random, texts: Sequence[str]) -> str:
    """One of the texts with some tokens changed, wrapped in another statement, or both."""
    tokens = [token.text for token in code(rng.choice(texts))]
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        at = rng.randrange(len(tokens) + 1)
        other = [token.text for token in code(rng.choice(texts))]
        change = rng.randrange(5)
        if change == 0:
            del tokens[at : at + 1]
        elif change == 1:
            tokens.insert(at, rng.choice(_PIECES))
        elif change == 2:
            tokens[at : at + 1] = [rng.choice(_PIECES)]
        elif change == 3:
            start = rng.randrange(len(other))
            tokens[at:at] = other[start : start + rng.randrange(1, 6)]
        else:
            tokens[at : at + 1] = [rng.choice(other)]
    text = " ".join(tokens)
    return rng.choice(_WRAPPED).replace("{}", text) if rng.random() < 0.4 else text
