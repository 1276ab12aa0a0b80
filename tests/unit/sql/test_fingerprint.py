from __future__ import annotations

import gc
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from timeit import repeat

import pytest

from dbopt.sql.fingerprint import (
    FingerprintCache,
    fingerprint,
    fingerprint_hex,
    fingerprint_int,
    normalize,
)
from dbopt.sql.redact import redact
from dbopt.sql.tags import tags
from tests.support import LONG
from tests.unit.sql.hostile import hostile

NORMAL = [
    ("", ""),
    ("  ;; ", ""),
    ("SELECT  1 ;", "select ?"),
    ("select 'it''s', E'a\\'b', U&'x', B'01', x'1F', N'n'", "select ? , ? , ? , ? , ? , ?"),
    ("select 1_000, 0x1F, 0o17, 0b01, 1e5, .5, 1.5E-3, 1.", "select " + " , ".join("?" * 8)),
    ("select $$a$$, $t$ $$ 'x' $t$, a$b$c", "select ? , ? , a$b$c"),
    ("select $1, $22", "select ? , ?"),
    ("select 'a'\n  'b', 'c' 'd'", "select ? , ? ?"),
    ("select /* a /* nested */ still */ 1 -- end", "select ?"),
    ("select 1 /* never closed", "select ?"),
    ("select 'never closed", "select ?"),
    ("select $$never closed", "select ?"),
    ('select "never closed', "select ?"),
    (
        'select "Quoted ""Name""", U&"d\\0061t", Üser',
        'select "Quoted ""Name""" , U&"d\\0061t" , Üser',
    ),
    ("select a::int, b :: TEXT", "select a :: int , b :: text"),
    ("select data ? 'a', data ?| b, data @> '{}'", "select data ? ? , data ?| b , data @> ?"),
    ("select a*/* c */b, c<-1, d@-1, a--b\n-1", "select a * b , c < ? , d @- ? , a - ?"),
    (
        "where a = -5 and b = - 5 and c = 1 - 5 and d in (-1)",
        "where a = ? and b = ? and c = ? - ? and d in ( ? )",
    ),
    ("select a -5, (b) - 5, f(-5), x[-1]", "select a - ? , ( b ) - ? , f ( ? ) , x [ ? ]"),
    ("where a in (1, 2, 3)", "where a in ( ? )"),
    ("where a in ('x'::text, $2, null, date '2020-01-01')", "where a in ( ? )"),
    ("where (a, b) in ((1, 2), (3, 4))", "where ( a , b ) in ( ? )"),
    ("where a in (select 1)", "where a in ( select ? )"),
    ("where a in (1, b)", "where a in ( ? , b )"),
    ("where a = any(array[1,2,3])", "where a = any ( array [ ? ] )"),
    ("select f(1, 2), f(1)", "select f ( ? , ? ) , f ( ? )"),
    ("insert into t values (1, 'a'), (2, 'b'), (3, null)", "insert into t values ( ? , ? )"),
    ("insert into t values (1, now()), (2, now())", "insert into t values ( ? , now ( ) )"),
    (
        "insert into t values (1, default), (2, 3)",
        "insert into t values ( ? , default ) , ( ? , ? )",
    ),
    (
        "where a is null and b is not null and c = null",
        "where a is null and b is not null and c = ?",
    ),
    ("where a is true and b = false", "where a is true and b = ?"),
    ("select extract(YEAR from a) limit all", "select extract ( ? from a ) limit ?"),
    ("select 1; select 2;", "select ? ; select ?"),
    ('set search_path = a, "B"', "set search_path = ?"),
    ("SET LOCAL work_mem TO '4MB'; select 1", "set local work_mem = ? ; select ?"),
    ("set session a.b = on", "set session a . b = ?"),
    ("set work_mem to default", "set work_mem to default"),
    ("set role bob", "set role ?"),
    ("set transaction read only", "set transaction read only"),
    ("update t set a = b", "update t set a = b"),
    ("set", "set"),
    ("savepoint _pg3_1; select 1", "savepoint ? ; select ?"),
    ('release savepoint "S 1"', "release savepoint ?"),
    ("release s", "release ?"),
    ("rollback to savepoint s", "rollback to savepoint ?"),
    ("rollback work to s", "rollback work to ?"),
    ("rollback", "rollback"),
    ("rollback work", "rollback work"),
    ("rollback and chain", "rollback and chain"),
    ("deallocate _pg3_12", "deallocate ?"),
    ("deallocate all", "deallocate all"),
    ("select a[1:2], b := 1, c => 2, 1..2", "select a [ ? : ? ] , b := ? , c => ? , ? .. ?"),
    ("select \x00 { \\", "select \x00 { \\"),
    ("select 'a' -- c\n 'b', E'a' --\r\n\t-- d\n '\\' x', 'a' -- c 'b'", "select ? , ? , ?"),
    ("select a -- c\n 'b'", "select a ?"),
    ("select U&'d!0061' uescape '!', uescape, a uescape 'b'", "select ? , uescape , a uescape ?"),
    (
        "select U&\"d!0061\" UESCAPE '!', u&\"x\"uescape\n'#'",
        "select U&\"d!0061\" uescape '!' , u&\"x\" uescape '#'",
    ),
    ('select u&"x" uescape \'never closed', 'select u&"x" uescape ?'),
    ("select 0x_1F, 0XaB_c, 0o_17, 0O7, 0b_01, 0B1, 1__0", "select " + " , ".join("?" * 7)),
    ("select 1or 2, 1.e3, 1e+5, 1e, 12abc", "select ? or ? , ? , ? , ? e , ? abc"),
    ("select 1..2, 1.5.2, ...5", "select ? .. ? , ? ? , .. ?"),
    ("select N'a', n'b''c', nx'a', xn'b'", "select ? , ? , nx ? , xn ?"),
    ("select B'0''1', b'', X'1f', x''", "select ? , ? , ? , ?"),
    ("select $é$x$é$, $_1$ $1$ $_1$, a$1, $1a$b$1a$", "select ? , ? , a$1 , ? a$b$1a$"),
    ("select $a$x$A$ $a$, $$'$$, $ $", "select ? , ? , $ $"),
    ('select été, ÉTÉ, "Été", Straße, 名前', 'select été , ÉtÉ , "Été" , straße , 名前'),
    ("select a !=b, a<>-1, a !=-1, a!=@-1", "select a <> b , a <> ? , a !=- ? , a !=@- ?"),
    (
        "select d ?| array['a'], d ?& b, d?'a', d ?? 'a'",
        "select d ?| array [ ? ] , d ?& b , d ? ? , d ?? ?",
    ),
    ("where a in (cast(1 as int), cast('2' as numeric(3,1)))", "where a in ( ? )"),
    ("where a in (1::double precision, '2'::timestamp with time zone)", "where a in ( ? )"),
    ("where a in (timestamp with time zone '1', character varying(5) 'x')", "where a in ( ? )"),
    ("where a in (1, time)", "where a in ( ? , time )"),
    ("where a in (1, cast(b as int))", "where a in ( ? , cast ( b as int ) )"),
    ("where a in (-1, -2) and b in (-1, c)", "where a in ( ? ) and b in ( ? , c )"),
    (
        "array[[1,2],[3,4]], array[[1,2],[a,b]]",
        "array [ [ ? ] , [ ? ] ] , array [ [ ? ] , [ a , b ] ]",
    ),
    ("where a in (in (1, 2)", "where a in ( in ( ? )"),
    ("set a to 'b', c", "set a = ?"),
]


@pytest.mark.parametrize(("text", "expected"), NORMAL)
def test_canonical_text(text: str, expected: str) -> None:
    assert expected == normalize(text)


@pytest.mark.parametrize("text", [text for text, _ in NORMAL])
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalize(text) == normalize(normalize(text))


@pytest.mark.parametrize("text", [text for text, _ in NORMAL])
def test_a_nested_comment_after_it_changes_nothing(text: str) -> None:
    """It sends the text through the other of the two lexers."""
    closed = "never closed" not in text
    assert not closed or normalize(text) == normalize(text + "\n/* a /* b */ */")


# What PostgreSQL 18's pg_stat_statements shows of the text beside it.
SERVER = [
    ("select * from t where a = -5 and b = null", "select * from t where a = $1 and b = $2"),
    ("select * from t where a in (1,2,3)", "select * from t where a in ($1 /*, ... */)"),
    ("select 1 limit all", "select $1 limit $2"),
    ("select N'abc'", "select N$1"),
    ("select extract(year from now())", "select extract($1 from now())"),
    ("select 'a', a - 1 from t", "select $1, a - $2 from t"),
    ("set search_path = a, b", "set search_path = $1, b"),
]


@pytest.mark.parametrize(("client", "server"), SERVER)
def test_the_servers_text_has_the_clients_fingerprint(client: str, server: str) -> None:
    assert fingerprint(client) == fingerprint(server)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("select a from t", "select b from t"),
        ("select a from t", 'select "A" from t'),
        ("select a is null", "select a is true"),
        ("select a -1", "select a + 1"),
        ("select f(1)", "select f(1, 2)"),
        ("select 1", "select 1; select 2"),
    ],
)
def test_other_statements_have_other_fingerprints(one: str, other: str) -> None:
    assert fingerprint(one) != fingerprint(other)


BOTH = "select 'a\\', b, 'c\\' '"
"""To one server two strings and a name between, to another one string, a name and another."""

READINGS = [
    # text, with backslashes as characters, and as escapes
    ("select 'it\\'s', 1", "select ? s ?", "select ? , ?"),
    (r"select 'a\\', 'b'", "select ? , ?", "select ? , ?"),
    (r"select n'\'', 1 --'", "select ?", "select ? , ?"),
    (r"select E'\'', 'a\nb', B'\', X'\'", "select ? , ? , ? , ?", "select ? , ? , ? , ?"),
    (r"select ''; drop table t; --'", "select ? ; drop table t", "select ? ; drop table t"),
    (r"select '\'; drop table t; --'", "select ? ; drop table t", "select ?"),
    (r"select '\''; drop table t; --'", "select ?", "select ? ; drop table t"),
    (BOTH, "select ? , b , ? ?", "select ? c \\ ?"),
]


@pytest.mark.parametrize(("text", "on", "off"), READINGS)
def test_both_readings_of_backslashes(text: str, on: str, off: str) -> None:
    assert (on, off) == (normalize(text, conforming=True), normalize(text, conforming=False))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # One reading leaves a string open, or a backslash bare: no server runs it so.
        ("select 'it\\'s', 1", "select ? , ?"),
        (r"where path = 'C:\'", "where path = ?"),
        (r"where path = 'C:\' and a = 'b'", "where path = ? and a = ?"),
        (r"values ('C:\', 'D:\', 'x')", "values ( ? , ? , ? )"),
        (r"where a like 'b' escape '\' and c = 'd'", "where a like ? escape ? and c = ?"),
        (BOTH, "select ? , b , ? ?"),
        # A server may run either.
        (r"select '\'; drop table t; --'", r"select ? ; drop table t ; \ ; select ?"),
        (r"select '\''; drop table t; --'", r"select ? ; \ ; select ? ; drop table t"),
    ],
)
def test_a_text_that_may_be_read_in_two_ways(text: str, expected: str) -> None:
    assert expected == normalize(text)
    assert expected == normalize(expected)


def test_what_hides_a_statement_has_a_fingerprint_of_its_own() -> None:
    for hidden in (r"select '\'; drop table t; --'", r"select '\''; drop table t; --'"):
        harmless = {fingerprint("select 'x'"), fingerprint("select 'x'; drop table t")}
        assert fingerprint(hidden) not in harmless


def test_a_cache_gives_what_fingerprint_gives() -> None:
    cache = FingerprintCache()
    for text in ["select 1", "select 2", "select a", "select 1"]:
        assert fingerprint(text) == cache(text)
    assert 3 == len(cache)
    cache.clear()
    assert 0 == len(cache)
    assert fingerprint("select 1") == cache("select 1")


def test_a_cache_reads_as_it_is_told() -> None:
    text = r"select '\''; drop table t; --'"
    assert fingerprint(text, conforming=True) == FingerprintCache(conforming=True)(text)


def test_a_cache_is_bounded() -> None:
    cache = FingerprintCache(entries=10, size=100, longest=50)
    long = "select " + "a" * 60
    assert fingerprint(long) == cache(long)
    assert 0 == len(cache)
    for number in range(1000):
        cache(f"select {number}")
        assert 0 < len(cache) <= 10
    cache.clear()
    for number in range(8):
        cache(f"select {number}, '{'x' * 30}'")
        assert 0 < len(cache) <= 2


def test_threads_may_share_a_cache() -> None:
    cache = FingerprintCache(entries=50)
    texts = [f"select a{number % 70}" for number in range(5000)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(cache, texts))
    assert [fingerprint(text) for text in texts] == found
    assert len(cache) <= 50


def test_a_hit_costs_next_to_nothing() -> None:
    """It is to be 0.3 µs; the bound leaves room for a busy machine, and none for a fingerprint."""
    text = "select a, b, c from t where d = 5 " * 8
    cache = FingerprintCache()
    cache(text)
    assert min(repeat(lambda: cache(text), number=1000, repeat=5)) / 1000 < 3e-6


def test_a_fingerprint_is_stable() -> None:
    """It is stored, so it must not change between versions."""
    assert 0xB9A4C90CE4157373 == fingerprint("select 1")


def test_hexadecimal_and_back() -> None:
    assert "000000000000002a" == fingerprint_hex(42)
    assert 42 == fingerprint_int("000000000000002a")
    top = 2**64 - 1
    assert top == fingerprint_int(fingerprint_hex(top))


@pytest.mark.parametrize("digits", ["", "2a", "0x00000000000002a", "g" * 16, "0" * 17])
def test_what_is_no_fingerprint(digits: str) -> None:
    with pytest.raises(ValueError, match="16 hexadecimal"):
        fingerprint_int(digits)


SIZE = 1_000_000 if LONG else 250_000
QUARTER, WHOLE = hostile(SIZE // 4), hostile(SIZE)


def seconds(run: Callable[[str], object], text: str) -> float:
    """What it takes, in time of this process; its garbage is not the text's."""
    gc.disable()
    try:
        started = time.process_time()
        run(text)
        return time.process_time() - started
    finally:
        gc.enable()


@pytest.mark.parametrize("name", WHOLE)
def test_a_hostile_text_takes_linear_time(name: str) -> None:
    """Four times the text may take four times as long, and some; a quadratic step 16 times.

    A megabyte is to be 0.1 s, for redacting 0.2 s; both bounds leave room for a busy machine.
    """
    for run in (normalize, redact, tags):
        took = seconds(run, WHOLE[name])
        assert took < SIZE * 1e-6
        if took > SIZE * 0.15e-6:
            assert took < 9 * min(seconds(run, QUARTER[name]) for _ in range(2))


def test_the_gateways_import_loads_no_parser() -> None:
    program = (
        "import sys, dbopt.sql, dbopt.sql.fingerprint as f; f.fingerprint('select 1');"
        " print('sqlglot' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "False\n" == ran.stdout
