from __future__ import annotations

import subprocess
import sys
import time

import pytest

from dbopt.sql.fingerprint import (
    fingerprint,
    fingerprint_hex,
    fingerprint_int,
    normalize,
)

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


M = 1_000_000
HOSTILE = {
    "quotes": "'" * M,
    "open string": "select '" + "a" * M,
    "escapes": "e'\\" * (M // 3),
    "parentheses": "(" * M,
    "comment openings": "/*" * (M // 2),
    "nested comments": "/*" * (M // 4) + "*/" * (M // 4),
    "pluses": "+" * M,
    "signs": "+-" * (M // 2),
    "minuses": "- " * (M // 2),
    "spaces": "a" + " " * M,
    "string and breaks": "'a'" + "\n" * M,
    "dollars": "$" * M,
    "dollar tags": "".join(f"$a{i}$ " for i in range(M // 9)),
    "double quotes": '"' * M,
    "digits": "1_" * (M // 2),
    "list": "in (" + "1," * (M // 2) + "1)",
    "open lists": "in (1," * (M // 6),
    "open values": "values (1," * (M // 10),
    "rows": "values" + "(1,2)," * (M // 6),
    "operators": "<=@-+" * (M // 5),
    "names": "".join(f"a{i} " for i in range(M // 7)),
    "bytes": "\x00\x01" * (M // 2),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_megabyte_takes_linear_time(text: str) -> None:
    """A quadratic step would take minutes; the bound leaves room for a busy machine."""
    started = time.process_time()
    normalize(text)
    assert time.process_time() - started < 2.0


def test_the_gateways_import_loads_no_parser() -> None:
    program = (
        "import sys, dbopt.sql, dbopt.sql.fingerprint as f; f.fingerprint('select 1');"
        " print('sqlglot' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "False\n" == ran.stdout
