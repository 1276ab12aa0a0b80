from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable, Iterable

import pytest

from dbopt.trace.serverlog import MAX_MESSAGE, Message, Splitter, prefix_pattern, splitter

TEXT = "duration: 12.5 ms  plan:\nQuery Text: SELECT\n  1\nResult  (cost=0.0..0.1 rows=1 width=4)"
PREFIX = "%m [%p] %q%u@%d/%a "
FIRST = "2026-01-02 03:04:05.678 UTC [4242] alice@app/psql: not a name LOG:  "


NODE = "\nQuery Text: SELECT 1\nResult  (cost=0.0..0.1 rows=1 width=4)"
ENTRY = "duration: 1.0 ms  plan:" + NODE


def stderr(text: str) -> bytes:
    return (FIRST + text.replace("\n", "\n\t") + "\n").encode()


def csvlog(text: str) -> bytes:
    row = ["2026-01-02 03:04:05.678 UTC", "alice", "app", "4242", *[""] * 9, text, *[""] * 8]
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow(row)
    return out.getvalue().replace('"2026-01-02 03:04:05.678 UTC"', row[0], 1).encode()


def jsonlog(text: str) -> bytes:
    entry = {"timestamp": "x", "user": "alice", "dbname": "app", "pid": 4242, "message": text}
    return json.dumps(entry).encode() + b"\n"


def every(of: Splitter, chunks: Iterable[bytes]) -> list[Message]:
    found = [message for chunk in chunks for message in of.feed(chunk)]
    return [*found, *of.rest()]


LOGS: dict[str, Callable[[str], bytes]] = {"a.log": stderr, "a.csv": csvlog, "a.json": jsonlog}


@pytest.mark.parametrize("name", LOGS)
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_messages_in_whatever_pieces_they_come(name: str, size: int) -> None:
    make = LOGS[name]
    data = make("checkpoint starting") + make(TEXT) + make('syntax error "x" ms') + make(TEXT)
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    found = every(splitter(name, PREFIX), chunks)
    assert [(4242, "alice", "app")] * 2 == [(one.pid, one.user, one.database) for one in found]
    assert all(one.text.endswith(TEXT) for one in found)


@pytest.mark.parametrize("name", ["a.csv", "a.json", "a.log"])
def test_begun_in_the_middle_it_finds_the_next_one(name: str) -> None:
    data = LOGS[name](TEXT)
    found = every(splitter(name, PREFIX), [data[130:] + LOGS[name](TEXT)])
    assert 1 == len(found)


@pytest.mark.parametrize("name", ["a.csv", "a.json", "a.log"])
def test_what_is_too_long_is_passed_over(name: str) -> None:
    long = "duration: 1.0 ms  plan:\n" + ("x" * 99 + "\n") * (MAX_MESSAGE // 90)
    found = every(splitter(name, PREFIX), [LOGS[name](long), LOGS[name](TEXT)])
    assert 1 == len(found)


@pytest.mark.parametrize("name", ["a.csv", "a.json", "a.log"])
@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\xff\xfe ms  plan:\n", b'{"message": 1 ms  plan:\n', b"[" * 10**5 + b" ms  plan:\n",
        b'2026-01-02 03:04:05.678 UTC,"a ms  plan:"\n', b'"" ms  plan:" ,,\n',
    ],
)  # fmt: skip
def test_garbage_hides_nothing_that_comes_later(name: str, garbage: bytes) -> None:
    found = every(splitter(name, PREFIX), [garbage, LOGS[name](TEXT)])
    assert 4242 == found[-1].pid


@pytest.mark.parametrize(
    ("prefix", "line", "found"),
    [
        ("%m [%p] ", "2026-01-02 03:04:05.678 UTC [17] ", {"pid": "17"}),
        ("%t:%r:%u@%d:[%p]: ", "2026-01-02 03:04:05 UTC:10.0.0.1(4321):bob@shop:[9]: ",
         {"user": "bob", "database": "shop", "pid": "9"}),
        ("%-8u|%5p ", "bob     |   17 ", {"user": "bob", "pid": "17"}),
        ("db=%d,user=%u %%", "db=shop,user=bob %", {"user": "bob", "database": "shop"}),
        ("%q%u@%d ", "", None), ("%u%d ", "ab ", None), ("%a@%d ", "x@victim@real ", None),
        ("", "", {}),
    ],
)  # fmt: skip
def test_prefixes(prefix: str, line: str, found: dict[str, str] | None) -> None:
    match = prefix_pattern(prefix).fullmatch(line)
    if found is None and match is not None:
        found = {"database": "victim@real"}  # that of nobody
    assert found == (match and match.groupdict())


FORGED = [
    FIRST + "statement: SELECT '" + ENTRY,
    FIRST.replace("LOG", "ERROR") + "bad value LOG:  duration: 1.0 ms  plan:" + NODE,
    FIRST.replace("LOG:  ", "STATEMENT:  ") + ENTRY,
    FIRST.replace("not a name LOG:  ", "STATEMENT:  SELECT 'LOG:  ") + ENTRY,
    FIRST.replace("not a name LOG:  ", "LOG:  duration: 1.0 ms  plan: LOG:  ") + ENTRY,
]


@pytest.mark.parametrize("line", FORGED)
def test_what_a_client_wrote_is_no_entry(line: str) -> None:
    data = line.replace("\n", "\n\t").encode() + b"\n"
    assert [] == every(splitter("a.log", PREFIX), [data])
    errors = json.dumps({"message": ENTRY, "state_code": "P0001"}).encode() + b"\n"
    assert [] == every(splitter("a.json"), [errors])
    assert [] == every(splitter("a.csv"), [csvlog(ENTRY).replace(b'"","dur', b'"P0001","dur')])


@pytest.mark.parametrize(
    "prefix", ["%u%d%a%h%r%L%i%b", "%a %a %u %d %h %r %i ", "%a@%u@%d@%i@%b@%a"]
)
def test_a_hostile_line_takes_no_time(prefix: str) -> None:
    began = time.process_time()
    for line in ("a" * 380, "a " * 190, "a@" * 190, "a@ " * 120):
        every(splitter("a.log", prefix), [f"{line}LOG:  {ENTRY}\n".encode()])
    assert time.process_time() - began < 1.0


def test_a_prefix_that_is_another_than_was_said_loses_the_names_alone() -> None:
    (found,) = every(splitter("x", "%p|%u|"), [stderr(TEXT)])
    assert ("", "", 0) == (found.database, found.user, found.pid)
