"""What the soak's clients do: each unit is one client's transactions, with the replies due.

A unit yields the batches of one turn; the client sends them at once and checks the answers.
Every reply carries the client's own tag, so that another's cannot pass for it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from tests.faults.soak_wire import (
    BOUND,
    CLOSED,
    COLUMNS,
    PARSED,
    SUSPENDED,
    Batch,
    row,
    simple,
    tag,
)
from tests.integration.gateway_support import (
    COPY_DONE,
    SYNC,
    Message,
    bind,
    close,
    copy_data,
    describe,
    execute,
    parse,
)

ACCOUNTS = 50
REFUSED = "54001"
COPY_TEXT: Message = (b"H", b"\0\0\1\0\0")
COPY_TO: Message = (b"G", b"\0\0\1\0\0")
ZONES = ("UTC", "Asia/Tokyo", "America/Lima", "Europe/Oslo")


@dataclass
class Me:
    """One client: its tag, and what its session holds."""

    tag: str
    chance: random.Random
    prepared: set[str] = field(default_factory=set)
    zone: str = "UTC"
    step: int = 0
    acked: list[int] = field(default_factory=list)
    unsure: list[int] = field(default_factory=list)

    def mark(self) -> str:
        """A text that nobody else and no other turn has."""
        self.step += 1
        return f"{self.tag}/{self.step}"

    def anew(self) -> None:
        """A new connection: nothing is prepared or set."""
        self.prepared.clear()
        self.zone = "UTC"


Turns = Iterator[list[Batch]]
Unit = Callable[[Me], Turns]
SELECTED = tag("SELECT 1")


def select(me: Me) -> Turns:
    mark = me.mark()
    yield [simple(f"SELECT '{mark}'", COLUMNS, row(mark), SELECTED)]


def several(me: Me) -> Turns:
    """Three statements in one Query."""
    mark = me.mark()
    yield [
        simple(
            f"SELECT '{mark}'; SELECT 2; SELECT '{mark}'",
            COLUMNS, row(mark), SELECTED, COLUMNS, row("2"), SELECTED, COLUMNS, row(mark), SELECTED,
        )
    ]  # fmt: skip


def unnamed(me: Me) -> Turns:
    mark = me.mark()
    send = parse("SELECT $1::text") + bind(mark) + describe("P") + execute() + SYNC
    yield [Batch(send, [PARSED, BOUND, COLUMNS, row(mark), SELECTED])]


def named(me: Me) -> Turns:
    """A name that all clients use, each for a statement of its own, or for a shared one."""
    number = me.chance.randrange(8)
    name = f"s{number}"
    own = me.tag if number % 2 else "shared"
    mark = me.mark()
    expect = [BOUND, row(own, mark), SELECTED]
    send = bind(mark, name=name) + execute() + SYNC
    if name not in me.prepared:
        yield [Batch(parse(f"SELECT '{own}', $1::text", name) + SYNC, [PARSED])]
        me.prepared.add(name)
    yield [Batch(send, expect)]
    if me.chance.random() < 0.1:
        yield [Batch(close("S", name) + SYNC, [CLOSED])]
        me.prepared.discard(name)


def pipeline(me: Me) -> Turns:
    """Many batches, none of which waits for the one before; one of them fails."""
    batches = []
    for _ in range(me.chance.randint(2, 8)):
        mark = me.mark()
        if me.chance.random() < 0.2:
            batches.append(_fails(mark))
            continue
        send = parse("SELECT $1::text") + bind(mark) + execute() + SYNC
        batches.append(Batch(send, [PARSED, BOUND, row(mark), SELECTED]))
    yield batches


def _fails(mark: str) -> Batch:
    send = parse("SELECT $1::text") + bind(mark) + execute()
    send += parse("SELECT 1/$1::int") + bind("0") + execute() + parse("SELECT 3") + SYNC
    # The planner divides, at Bind.
    return Batch(send, [PARSED, BOUND, row(mark), SELECTED, PARSED], "22012")


def fails(me: Me) -> Turns:
    yield [me.chance.choice((_fails(me.mark()), simple("SELECT 1/0", sqlstate="22012")))]


def missing(me: Me) -> Turns:
    """A statement that this client never prepared, though others did."""
    yield [Batch(bind(name="none-" + me.tag) + execute() + SYNC, [], "26000")]


def portal(me: Me) -> Turns:
    """A portal that is read in parts."""
    mark = me.mark()
    sql = f"SELECT '{mark}' FROM generate_series(1, 3)"
    rows = [row(mark)]
    send = parse("BEGIN") + bind() + execute() + parse(sql) + bind(portal="p")
    send += execute("p", 2) + execute("p", 2) + close("P", "p") + parse("COMMIT") + bind()
    yield [
        Batch(
            send + execute() + SYNC,
            [
                PARSED, BOUND, tag("BEGIN"), PARSED, BOUND, *rows * 2, SUSPENDED, *rows, SELECTED,
                CLOSED, PARSED, BOUND, tag("COMMIT"),
            ],
        )
    ]  # fmt: skip


def large(me: Me) -> Turns:
    mark, size = me.mark(), me.chance.randint(1, 200_000)
    sql = f"SELECT repeat('x', {size}), '{mark}'"
    yield [simple(sql, COLUMNS, row("x" * size, mark), SELECTED)]


def large_value(me: Me) -> Turns:
    mark, size = me.mark(), me.chance.randint(1, 200_000)
    send = parse("SELECT length($1), $2::text") + bind("y" * size, mark) + execute() + SYNC
    yield [Batch(send, [PARSED, BOUND, row(str(size), mark), SELECTED])]


def transfer(me: Me) -> Turns:
    """Turn by turn, the transaction open between them."""
    one, two = sorted(me.chance.sample(range(ACCOUNTS), 2))
    mark = me.mark()
    yield [simple("BEGIN", tag("BEGIN"), status="T")]
    yield [simple(_move(one, -5), tag("UPDATE 1"), status="T")]
    yield [simple(f"SELECT '{mark}'", COLUMNS, row(mark), SELECTED, status="T")]
    yield [simple(_move(two, 5), tag("UPDATE 1"), status="T")]
    yield [simple("COMMIT", tag("COMMIT"))]


def transfer_at_once(me: Me) -> Turns:
    """The whole transaction as one batch."""
    one, two = sorted(me.chance.sample(range(ACCOUNTS), 2))
    send, expect = b"", []
    for sql, end in (
        ("BEGIN", "BEGIN"), (_move(one, -3), "UPDATE 1"), (_move(two, 3), "UPDATE 1"),
        ("COMMIT", "COMMIT"),
    ):  # fmt: skip
        send += parse(sql) + bind() + execute()
        expect += [PARSED, BOUND, tag(end)]
    yield [Batch(send + SYNC, expect)]


def _move(account: int, money: int) -> str:
    return f"UPDATE bank SET money = money + {money} WHERE id = {account}"


def rolled_back(me: Me) -> Turns:
    account = me.chance.randrange(ACCOUNTS)
    yield [simple("BEGIN; " + _move(account, 1000), tag("BEGIN"), tag("UPDATE 1"), status="T")]
    yield [simple("SELECT 1/0", sqlstate="22012", status="E")]
    yield [simple("SELECT 1", sqlstate="25P02", status="E")]
    yield [simple("ROLLBACK", tag("ROLLBACK"))]


def journal(me: Me) -> Turns:
    """What was said to be written is written, once; what was not said is there once at most."""
    me.step += 1
    me.unsure.append(me.step)
    sql = f"INSERT INTO journal VALUES ('{me.tag}', {me.step})"
    yield [simple(sql, tag("INSERT 0 1"))]
    me.acked.append(me.unsure.pop())


def copied(me: Me) -> Turns:
    """COPY in and out in one transaction, in one table that all share."""
    mark, count = me.mark(), me.chance.randint(1, 40)
    line = f"{mark}\n".encode()
    yield [simple("BEGIN", tag("BEGIN"), status="T")]
    yield [
        Batch(
            simple("COPY copied FROM STDIN").send + copy_data(line) * count + COPY_DONE,
            [COPY_TO, tag(f"COPY {count}")],
            status="T",
        )
    ]
    sql = f"COPY (SELECT * FROM copied WHERE tag = '{mark}') TO STDOUT"
    out: list[Message] = [COPY_TEXT, *[(b"d", line)] * count, (b"c", b""), tag(f"COPY {count}")]
    yield [simple(sql, *out, status="T")]
    yield [simple("ROLLBACK", tag("ROLLBACK"))]


def copy_fails(me: Me) -> Turns:
    data = copy_data(b"fine\n") + copy_data(b"two\tcolumns\n") + copy_data(b"more\n") + COPY_DONE
    yield [Batch(simple("COPY copied FROM STDIN").send + data, [COPY_TO], "22P04")]


def settings(me: Me) -> Turns:
    """A setting stays with its client."""
    if me.chance.random() < 0.3:
        zone = me.chance.choice(ZONES)
        yield [simple(f"SET TimeZone = '{zone}'", tag("SET"))]
        me.zone = zone
    sql = "SELECT current_setting('TimeZone'), current_setting('application_name')"
    yield [simple(sql, COLUMNS, row(me.zone, me.tag), SELECTED)]


WORK: tuple[Unit, ...] = (
    select, select, select, several, unnamed, unnamed, named, named, named, pipeline, pipeline,
    fails, missing, portal, large, large_value, transfer, transfer, transfer_at_once, rolled_back,
    journal, copied, copy_fails, settings, settings,
)  # fmt: skip


# What leaves something in the session: in transaction mode the gateway pins the client, knows
# the names, or listens for it.


def temp_table(me: Me) -> Turns:
    mark = me.mark()
    yield [simple("CREATE TEMP TABLE mine AS SELECT 1 WHERE false", tag("SELECT 0"))]
    yield [simple("ALTER TABLE mine ADD tag text", tag("ALTER TABLE"))]
    yield [simple(f"INSERT INTO mine (tag) VALUES ('{mark}')", tag("INSERT 0 1"))]
    yield [simple("SELECT tag FROM mine", COLUMNS, row(mark), SELECTED)]
    yield [simple("DROP TABLE mine", tag("DROP TABLE"))]


def advisory_lock(me: Me) -> Turns:
    key = sum(me.tag.encode()) * 1000 + int(me.tag.rpartition("-")[2])
    held = f"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = {key} AND pid = "
    yield [simple(f"SELECT pg_advisory_lock({key})", COLUMNS, row(""), SELECTED)]
    yield [simple(held + "pg_backend_pid()", COLUMNS, row("1"), SELECTED)]
    yield [simple(f"SELECT pg_advisory_unlock({key})", COLUMNS, row("t"), SELECTED)]


def sql_prepare(me: Me) -> Turns:
    mark = me.mark()
    yield [simple(f"PREPARE plan AS SELECT '{me.tag}', $1::text", tag("PREPARE"))]
    yield [simple(f"EXECUTE plan ('{mark}')", COLUMNS, row(me.tag, mark), SELECTED)]
    yield [simple("DEALLOCATE plan", tag("DEALLOCATE"))]


def listen(me: Me) -> Turns:
    channel = me.tag.replace("-", "_")
    yield [simple(f"LISTEN {channel}", tag("LISTEN"))]
    mark = me.mark()
    yield [replace(simple(f"NOTIFY {channel}, '{mark}'", tag("NOTIFY")), hears=mark.encode())]
    yield [simple(f"UNLISTEN {channel}", tag("UNLISTEN"))]


STATEFUL: dict[str, Unit] = {
    unit.__name__: unit for unit in (temp_table, advisory_lock, sql_prepare, listen)
}


# What the guard refuses: by the name of the column, since constants make no other statement.


def refused(me: Me) -> Turns:
    mark = me.mark()
    send = parse("SELECT $1::text AS refuse") + bind(mark) + execute() + SYNC
    alone = simple(f"SELECT '{mark}' AS refuse", sqlstate=REFUSED)
    fine = simple(f"SELECT '{mark}'", COLUMNS, row(mark), SELECTED)
    yield me.chance.choice(([alone], [Batch(send, [], REFUSED)], [fine, alone, fine]))


def refused_within(me: Me) -> Turns:
    yield [simple("BEGIN", tag("BEGIN"), status="T")]
    yield [simple(f"SELECT '{me.mark()}' AS refuse", sqlstate=REFUSED, status="E")]
    yield [simple("SELECT 1", sqlstate="25P02", status="E")]
    yield [simple("ROLLBACK", tag("ROLLBACK"))]


GUARDED: dict[str, Unit] = {unit.__name__: unit for unit in (refused, refused_within)}


def cleanup(me: Me, unit: Unit) -> list[Batch]:
    """What a unit of STATEFUL that was stopped by a fault has left, undone."""
    if unit is temp_table:
        return [simple("DROP TABLE IF EXISTS mine", tag("DROP TABLE"))]
    if unit is advisory_lock:
        return [simple("SELECT pg_advisory_unlock_all()", COLUMNS, row(""), SELECTED)]
    if unit is sql_prepare:
        me.prepared.clear()
        return [simple("DEALLOCATE ALL", tag("DEALLOCATE ALL"))]
    return [simple("UNLISTEN *", tag("UNLISTEN"))] if unit is listen else []


WITHOUT_TRANSACTIONS: tuple[Unit, ...] = (
    select, select, several, unnamed, named, named, pipeline, fails, missing, large, large_value,
    journal, copy_fails, settings,
)  # fmt: skip
"""What a pool of mode statement runs."""
