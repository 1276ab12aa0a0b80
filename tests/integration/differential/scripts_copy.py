"""COPY both ways, in both protocols, as it should be and as it fails."""

from __future__ import annotations

from dbopt.wire import messages as m
from tests.integration.differential.script import Scripts, Step, bad, batch, steps
from tests.integration.differential.scripts_simple import FUNCTION
from tests.integration.gateway_support import (
    COPY_DONE,
    FLUSH,
    SYNC,
    copy_data,
    query,
    run,
)

COPY_IN = "COPY pets FROM STDIN"
BINARY_IN = "COPY pets (id) FROM STDIN (FORMAT binary)"
COPY_OUT = "COPY (SELECT generate_series(1, 5)) TO STDOUT"
BINARY_OUT = "COPY (SELECT generate_series(1, 5)) TO STDOUT (FORMAT binary)"
BAD_COPY_OUT = "COPY (SELECT 1/(3-g) FROM generate_series(1, 9) g) TO STDOUT"
COUNT = query("SELECT count(*) FROM pets")
FAIL = m.CopyFail(b"changed my mind").encode()
ROW = copy_data(b"7\tcat\n")
BAD_ROW = copy_data(b"seven\tcat\n")
HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
BINARY_ROW = b"\0\1" + b"\0\0\0\4" + b"\0\0\0\7"
TRAILER = b"\xff\xff"

SCRIPTS: Scripts = {
    "in": steps(Step(query(COPY_IN), b"G"), ROW + ROW + COPY_DONE),
    "in, nothing": steps(Step(query(COPY_IN), b"G"), COPY_DONE, COUNT),
    "in, rows in odd pieces": steps(
        Step(query(COPY_IN), b"G"),
        b"".join(map(copy_data, (b"7\tc", b"", b"at\n8\t", b"dog\n"))) + COPY_DONE,
        COUNT,
    ),
    "in, all at once": batch(query(COPY_IN), ROW, COPY_DONE, query("SELECT 1"), ready=2),
    "in, with flushes and syncs among the data": batch(
        query(COPY_IN), ROW, FLUSH, SYNC, ROW, SYNC, COPY_DONE, COUNT, ready=2
    ),
    "in, two in one query": batch(
        query(f"SELECT 1; {COPY_IN}; {COPY_IN}"), ROW, COPY_DONE, ROW, COPY_DONE, run("SELECT 2"),
        SYNC, ready=2,
    ),
    "in, two in one query, the first fails": batch(
        query(f"{COPY_IN}; {COPY_IN}"), BAD_ROW, COPY_DONE, ROW, COPY_DONE, COUNT, ready=2
    ),
    "in, binary": steps(
        Step(query(BINARY_IN), b"G"),
        copy_data(HEADER + BINARY_ROW) + copy_data(BINARY_ROW + TRAILER) + COPY_DONE, COUNT,
    ),
    "in, binary that is none": steps(
        Step(query(BINARY_IN), b"G"), copy_data(b"not binary at all") + COPY_DONE, COUNT
    ),
    "in, CSV with an end of its own": steps(
        Step(query(f"{COPY_IN} (FORMAT csv, HEADER)"), b"G"),
        copy_data(b"id,kind\n1,cat\n2,\"a,b\"\n") + COPY_DONE, COUNT,
    ),
    "in, in a transaction": steps(
        query("BEGIN"), Step(query(COPY_IN), b"G"), ROW + COPY_DONE, Step(query(COPY_IN), b"G"),
        ROW + FAIL, COUNT, query("ROLLBACK"), COUNT,
    ),
    "in, failed by the client": steps(Step(query(COPY_IN), b"G"), ROW + FAIL, COUNT),
    "in, failed by the client at once": batch(query(COPY_IN), ROW, FAIL, COUNT, ready=2),
    "in, failed by the data": steps(
        Step(query(COPY_IN), b"G"), BAD_ROW + ROW * 50 + COPY_DONE, query("SELECT 1")
    ),
    "in, failed while the data flow on": steps(
        Step(query(COPY_IN), b"G"),
        Step(BAD_ROW + ROW * 2000, b"Z"),
        ROW * 500 + COPY_DONE + query("SELECT 1"),
        COUNT,
    ),
    "in, failed while the data flow on, then CopyFail": steps(
        Step(query(COPY_IN), b"G"), Step(BAD_ROW * 2, b"Z"), ROW * 50 + FAIL + COUNT,
    ),
    "in, another message than data": bad(
        Step(query(COPY_IN), b"G"), Step(ROW + query("SELECT 1"), b"")
    ),
    "in that cannot begin": batch(
        query("COPY nothing FROM STDIN"), ROW, COPY_DONE, query("SELECT 1"), ready=2
    ),
    "in, in a failed transaction": batch(
        query("BEGIN"), query("SELECT 1/0"), query(COPY_IN), ROW, COPY_DONE, query("ROLLBACK"),
        ready=4,
    ),
    "in, extended": steps(
        Step(run(COPY_IN) + SYNC, b"G"), ROW + COPY_DONE + SYNC, query("SELECT 1")
    ),
    "in, extended, at once": batch(
        run(COPY_IN), SYNC, ROW, SYNC, FLUSH, COPY_DONE, SYNC, query("SELECT 1"), ready=2
    ),
    "in, extended, with a flush": steps(
        Step(run(COPY_IN) + FLUSH, b"G"), ROW + COPY_DONE + SYNC, query("SELECT 1")
    ),
    "in, extended, late Sync": steps(
        Step(run(COPY_IN) + SYNC + ROW + COPY_DONE + FLUSH, b"C"), run("SELECT 1") + SYNC
    ),
    "in, extended, within a pipeline": batch(
        run("SELECT 1"), run(COPY_IN), ROW, COPY_DONE, run("SELECT 2"), SYNC, COUNT, ready=2
    ),
    "in, extended, two within a pipeline": batch(
        run(COPY_IN), ROW, COPY_DONE, run(COPY_IN), ROW, ROW, COPY_DONE, SYNC, COUNT, ready=2
    ),
    "in, extended, failed within a pipeline": batch(
        run("SELECT 1"), run(COPY_IN), BAD_ROW, ROW, COPY_DONE, run("SELECT 2"), SYNC, COUNT,
        ready=2,
    ),
    "in, extended, failed": steps(
        Step(run(COPY_IN) + SYNC, b"G"), BAD_ROW + COPY_DONE + SYNC,
        Step(run(COPY_IN) + SYNC, b"G"), ROW + FAIL + SYNC,
        query("SELECT 1"),
    ),
    "in, extended, failed before its Sync": steps(
        Step(run(COPY_IN) + FLUSH, b"G"), Step(BAD_ROW + FLUSH, b"E"),
        ROW * 30 + COPY_DONE + run("SELECT 'skipped'") + SYNC, run("SELECT 1") + SYNC,
    ),
    "out": steps(query(COPY_OUT), run(COPY_OUT) + SYNC),
    "out, binary": steps(query(BINARY_OUT), run(BINARY_OUT) + SYNC),
    "out, nothing": steps(
        query("COPY pets TO STDOUT"), query("COPY (SELECT WHERE false) TO STDOUT")
    ),
    "out, within a pipeline": batch(
        run("SELECT 1"), run(COPY_OUT), run("SELECT 2"), SYNC, query(f"{COPY_OUT}; SELECT 3"),
        query(COPY_OUT), ready=3,
    ),
    "out, in a transaction": steps(query("BEGIN"), query(COPY_OUT), query("COMMIT")),
    "out that fails": steps(query(BAD_COPY_OUT), run(BAD_COPY_OUT) + run("SELECT 1") + SYNC, COUNT),
    "out and in by turns": steps(
        query(COPY_OUT), Step(query(f"{COPY_OUT}; {COPY_IN}"), b"G"), ROW + COPY_DONE,
        query("COPY pets TO STDOUT"),
    ),
    "stray messages": batch(ROW, COPY_DONE, FAIL, query("SELECT 1")),
    "stray messages in a batch": batch(
        run("SELECT 1"), ROW, COPY_DONE, run("SELECT 2"), FAIL, SYNC, query("SELECT 3"), ready=2
    ),
    "stray messages in a transaction": batch(
        query("BEGIN"), ROW, FAIL, query("SELECT 1"), COPY_DONE, query("COMMIT"), ready=3
    ),
    "in, a function call within": bad(Step(query(COPY_IN), b"G"), Step(ROW + FUNCTION, b"")),
}  # fmt: skip
