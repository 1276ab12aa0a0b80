"""Messages of many megabytes."""

from __future__ import annotations

from tests.integration.differential.script import Scripts, Step, batch, steps
from tests.integration.gateway_support import (
    COPY_DONE,
    SYNC,
    bind,
    copy_data,
    execute,
    parse,
    query,
    run,
)

MB = 1 << 20
KILO = "x" * 300_000


def text(size: int) -> str:
    """A text of no pattern that chunks could follow."""
    return ("0123456789abcdefghijk" * (size // 21 + 1))[:size]


SCRIPTS: Scripts = {
    "of some kB": steps(
        query(f"SELECT length('{KILO}')"), run("SELECT length($1), $1", KILO) + SYNC
    ),
    "query of 8 MB": steps(query(f"SELECT md5('{text(8 * MB)}')"), query("SELECT 1")),
    "parse of 4 MB": steps(
        parse(f"SELECT md5('{text(4 * MB)}')", "a") + SYNC, bind(name="a") + execute() + SYNC,
    ),
    "bind of 16 MB": steps(
        parse("SELECT md5($1::text)", "a") + SYNC,
        bind(text(16 * MB), name="a") + execute() + SYNC,
        run("SELECT 2") + SYNC,
    ),
    "row of 30 MB": steps(query(f"SELECT repeat('x', {30 * MB})"), query("SELECT 1")),
    "many rows": steps(
        query("SELECT g, repeat('y', 900) FROM generate_series(1, 5000) g"),
        run("SELECT g, repeat('y', 90000) FROM generate_series(1, 20) g") + SYNC,
    ),
    "copy in of 4 MB messages": steps(
        Step(query("COPY pets FROM STDIN"), b"G"),
        copy_data(f"1\t{text(4 * MB)}\n".encode()) * 2 + COPY_DONE,
        query("SELECT count(*), max(length(kind)) FROM pets"),
    ),
    "copy in of many messages": steps(
        Step(query("COPY pets FROM STDIN"), b"G"), copy_data(b"1\tcat\n") * 40_000 + COPY_DONE,
        query("SELECT count(*) FROM pets"),
    ),
    "copy out of 8 MB": steps(
        query(f"COPY (SELECT repeat('z', {MB}) FROM generate_series(1, 8)) TO STDOUT"),
    ),
    "error of 1 MB": steps(query(f"SELECT '{text(MB)}'::int"), query("SELECT 1")),
    "notice of 1 MB": steps(query(f"DO $$BEGIN RAISE NOTICE '%', repeat('n', {MB}); END$$")),
    "large ones in a pipeline": batch(
        run("SELECT md5($1)", text(2 * MB)), run("SELECT 1"), run("SELECT md5($1)", text(MB)), SYNC,
        query(f"SELECT md5('{text(MB)}')"), ready=2,
    ),
    "large one that is skipped": batch(
        run("SELECT 1/0"), run("SELECT md5($1)", text(2 * MB)), SYNC, run("SELECT 1"), SYNC, ready=2
    ),
}  # fmt: skip
