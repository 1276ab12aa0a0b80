"""The shared listener with a real server, without a gateway around it."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from dbopt.errors import ConnectError, ListenRefused, ServerLost
from tests.integration.listen_support import Hearer, listening
from tests.integration.server_support import run
from tests.support import wait_until_async

NAMES = ["news", "News", 'a "quoted" one', "a b; c", "'", "\\", "été", "日本語" * 20, "x" * 100]


def test_each_hears_its_own_channels(pg_dsn: str, pg_conn: psycopg.Connection) -> None:
    async def scenario() -> None:
        async with listening(pg_dsn) as place:
            one, two = Hearer(), Hearer()
            await place.subscribe(one, b"a", b"b")
            await place.subscribe(two, b"b")
            pg_conn.execute("NOTIFY a, '1'; NOTIFY b, '2'; NOTIFY c, '3'; NOTIFY b, '4'")
            await one.has(3)
            await two.has(2)
            assert [(b"a", b"1"), (b"b", b"2"), (b"b", b"4")] == one.heard
            assert [(b"b", b"2"), (b"b", b"4")] == two.heard
            assert (2, 2, 5) == place.listener.snapshot
            place.listener.unsubscribe(one, b"b")
            pg_conn.execute("NOTIFY b, '5'; NOTIFY a, '6'")
            await one.has(4)
            assert (b"a", b"6") == one.heard[-1]
            assert 1 == len(place.backends)

    run(scenario())


def test_names_are_the_servers(pg_dsn: str, pg_conn: psycopg.Connection) -> None:
    """Quoted, in upper case, in other scripts, too long: as a client of its own would hear them."""
    with psycopg.connect(pg_dsn, autocommit=True) as direct:
        for name in NAMES:
            direct.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(name)))
        for name in NAMES:
            notify = psycopg.sql.SQL("NOTIFY {}").format(psycopg.sql.Identifier(name))
            pg_conn.execute(notify)
        expected = [n.channel for n in direct.notifies(timeout=5, stop_after=len(NAMES))]

    async def scenario() -> None:
        async with listening(pg_dsn) as place:
            hearer = Hearer()
            await place.subscribe(hearer, *(name.encode() for name in NAMES))
            assert {name.encode() for name in expected} == place.listener.channels(hearer)
            for name in NAMES:
                pg_conn.execute(psycopg.sql.SQL("NOTIFY {}").format(psycopg.sql.Identifier(name)))
            await hearer.has(len(NAMES))
            assert expected == [channel.decode() for channel, _ in hearer.heard]

    run(scenario())


def test_an_encoding_of_its_own(pg_dsn: str, pg_conn: psycopg.Connection) -> None:
    """The server cuts the name that it has converted, and converts the payload back."""
    name = "é" * 40

    async def scenario() -> None:
        async with listening(pg_dsn, "LATIN1") as place:
            hearer = Hearer()
            await place.subscribe(hearer, name.encode("latin-1"))
            pg_conn.execute(f"NOTIFY \"{name}\", 'à'")
            await hearer.has(1)
            assert [(("é" * 31).encode("latin-1"), "à".encode("latin-1"))] == hearer.heard

    run(scenario())


def test_many_channels_at_once(pg_dsn: str, pg_conn: psycopg.Connection) -> None:
    async def scenario() -> None:
        async with listening(pg_dsn) as place:
            hearers = [Hearer() for _ in range(300)]
            await asyncio.gather(
                *(
                    place.subscribe(hearer, *(b"c%d" % (n % 50 + k) for k in range(5)))
                    for n, hearer in enumerate(hearers)
                )
            )
            pg_conn.execute(
                "SELECT pg_notify('c' || n, repeat('x', 7999)) FROM generate_series(0, 53) n"
            )
            for hearer in hearers:
                await hearer.has(5)
            assert [5] * 300 == [len(hearer.heard) for hearer in hearers]
            assert 7999 == len(hearers[0].heard[0][1])
            assert (54, 300, 1500) == place.listener.snapshot

    run(scenario())


def test_a_thousand_in_order(pg_dsn: str, pg_conn: psycopg.Connection) -> None:
    async def scenario() -> None:
        async with listening(pg_dsn) as place:
            hearer = Hearer()
            await place.subscribe(hearer, b"n")
            for start in range(0, 1000, 100):
                pg_conn.execute(
                    "SELECT pg_notify('n', i::text) FROM generate_series(%s::int, %s) i",
                    (start, start + 99),
                )
            await hearer.has(1000)
            assert [str(i).encode() for i in range(1000)] == [text for _, text in hearer.heard]

    run(scenario())


def test_a_notify_right_after_done_is_heard(pg_dsn: str, pg_conn: psycopg.Connection) -> None:
    """Whether the channel was new, or left a moment ago and is still listened to."""

    async def scenario() -> None:
        async with listening(pg_dsn) as place:
            for turn in range(30):
                hearer = Hearer()
                await place.subscribe(hearer, b"n%d" % (turn % 3))
                pg_conn.execute(f"NOTIFY n{turn % 3}, '{turn}'")
                await hearer.has(1)
                assert [str(turn).encode()] == [payload for _, payload in hearer.heard]
                place.listener.unsubscribe(hearer)

    run(scenario())


def test_a_killed_backend_is_told_to_who_listens(pg_dsn: str, pg_conn: psycopg.Connection) -> None:
    async def scenario() -> None:
        async with listening(pg_dsn) as place:
            one, two = Hearer(), Hearer()
            await place.subscribe(one, b"a", b"b")
            pg_conn.execute("SELECT pg_terminate_backend(%s)", (place.backends[0].pid,))
            await wait_until_async(lambda: _lost(one), what="the loss")
            [error] = one.lost
            assert (ServerLost, "08006") == (type(error), error.sqlstate)
            assert "administrator command" in error.message
            await place.subscribe(two, b"a")
            pg_conn.execute("NOTIFY a")
            await two.has(1)
            assert [] == one.heard
            assert place.backends[:1] == place.owner.lost

    run(scenario())


async def _lost(hearer: Hearer) -> bool:
    return bool(hearer.lost)


@pytest.mark.parametrize(
    ("name", "sqlstate"),
    [(b"", "42601"), (b"\xff\xfe", "22021"), (b'\xc3"; SELECT 1; --', "22021")],
)
def test_what_the_server_refuses(
    pg_dsn: str, pg_conn: psycopg.Connection, name: bytes, sqlstate: str
) -> None:
    """One is refused, and the others are not."""

    async def scenario() -> None:
        async with listening(pg_dsn) as place:
            good, bad = Hearer(), Hearer()
            first = asyncio.ensure_future(place.subscribe(good, b"a"))
            refused = asyncio.ensure_future(place.subscribe(bad, name))
            await asyncio.gather(first, place.subscribe(good, b"b"))
            with pytest.raises(ListenRefused) as caught:
                await refused
            assert sqlstate == caught.value.reported
            pg_conn.execute("NOTIFY a; NOTIFY b")
            await good.has(2)

    run(scenario())


def test_channels_that_nobody_hears_are_left(pg_dsn: str, pg_conn: psycopg.Connection) -> None:
    listening_to = "SELECT query FROM pg_stat_activity WHERE pid = %s"

    async def scenario() -> None:
        async with listening(pg_dsn) as place:
            hearer = Hearer()
            await place.subscribe(hearer, b"gone")
            place.listener.unsubscribe(hearer)

            async def unlistened() -> bool:
                row = pg_conn.execute(listening_to, (place.backends[0].pid,)).fetchone()
                return row == ('UNLISTEN "gone"',)

            await wait_until_async(unlistened, what="UNLISTEN")
            assert (0, 0, 0) == place.listener.snapshot

    run(scenario())


@pytest.mark.parametrize(
    ("change", "said"),
    [({"port": "1"}, "cannot be reached"), ({"dbname": "nowhere"}, '"nowhere" does not exist')],
)
def test_no_connection(pg_dsn: str, change: dict[str, str], said: str) -> None:
    """A server that is away is waited for a while; a database that is not there is not."""

    async def scenario() -> None:
        async with listening(make_conninfo(pg_dsn, **change), patience=0.5) as place:
            with pytest.raises(ConnectError, match=said):
                await place.subscribe(Hearer(), b"a")

    run(scenario())
