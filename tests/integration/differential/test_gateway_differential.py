"""The same bytes to PostgreSQL and to the gateway: the same messages come back.

Each script runs on the server itself, and then through the gateway: alone, sent whole and in
pieces; in session mode; with another client that has the only backend between its transactions;
moved to another backend for each transaction; and under a guard that lets all pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import pairwise

import psycopg
import pytest

from dbopt.verdict import Question, Verdict
from tests.fix_gateway import Gateway, Runner, running
from tests.fix_pg import Server, fresh_database
from tests.integration.differential.script import (
    Replies,
    Script,
    bytewise,
    compared,
    in_chunks,
    one_step,
    play,
    steps,
    whole,
)
from tests.integration.differential.themes import ALL, THEMES
from tests.integration.gateway_support import (
    SYNC,
    Raw,
    bind,
    close,
    execute,
    parse,
    query,
    raw_client,
    rows,
    run,
)
from tests.support import wait_until

BYTEWISE = 1500
"""Bytes up to which a script is also sent byte by byte."""
TABLES = "DROP TABLE IF EXISTS extra; TRUNCATE pets"
NOISE = (
    close("S", "a") + parse("SELECT 'noise'", "a") + parse("SELECT 'unnamed noise'") + bind()
    + execute() + SYNC + query("BEGIN") + bind(name="a") + execute() + run("SELECT 1/0") + SYNC
    + query("ROLLBACK")
)  # fmt: skip
"""What a client sends that would be seen by the next if anything of it stayed."""


SMALL = set(THEMES) - {"large"}


def of_themes(*themes: str) -> list[str]:
    """The names of scripts of these themes."""
    return [name for name in ALL if name.partition(":")[0] in themes]


class World:
    """A server, and the gateway in front of it."""

    def __init__(self, dsn: str, gateway: Gateway, admin: psycopg.Connection) -> None:
        self.dsn = dsn
        self.gateway = gateway
        self._admin = admin
        self._direct: dict[str, Replies] = {}

    def clean(self) -> None:
        """The tables as each script finds them."""
        self._admin.execute(TABLES)

    def direct(self, name: str) -> Replies:
        """What the server itself answers to a script."""
        if name not in self._direct:
            self.clean()
            with raw_client(self.dsn) as raw:
                self._direct[name] = play(raw, ALL[name], whole)
        return self._direct[name]


@contextmanager
def world(
    server: Server, runner: Runner, backends: int, mode: str = "transaction", guard: str = "off"
) -> Iterator[World]:
    with (
        fresh_database(server) as dsn,
        psycopg.connect(dsn, autocommit=True) as admin,
        running(
            dsn, runner, pool__max_size=backends, pool__mode=mode, guard__mode=guard
        ) as gateway,
    ):
        admin.execute("SET client_min_messages = error; SET lock_timeout = '5s'")
        admin.execute("CREATE TABLE pets (id int, kind text)")
        yield World(dsn, gateway, admin)
        wait_until(lambda: gateway.pool.cl_active == 0, what="no client that has a backend")


@pytest.fixture(scope="module")
def single(pg_backend: Server, gateway_loop: Runner) -> Iterator[World]:
    """One backend alone."""
    with world(pg_backend, gateway_loop, 1) as found:
        yield found


@pytest.fixture(scope="module")
def several(pg_backend: Server, gateway_loop: Runner) -> Iterator[World]:
    """Three backends."""
    with world(pg_backend, gateway_loop, 3) as found:
        yield found


@pytest.fixture(scope="module")
def whole_sessions(pg_backend: Server, gateway_loop: Runner) -> Iterator[World]:
    """One backend, which each client has until it leaves."""
    with world(pg_backend, gateway_loop, 1, "session") as found:
        yield found


@pytest.fixture(scope="module")
def guarded(pg_backend: Server, gateway_loop: Runner) -> Iterator[World]:
    """A guard in whose eyes all is heavy, and the rows of all are counted."""
    with world(pg_backend, gateway_loop, 3, guard="enforce") as found:
        found.gateway.seen.verdict = heavy
        yield found
        wait_until(lambda: found.gateway.pool.lane_active == 0, what="a lane that is empty")


async def heavy(_: Question) -> Verdict:
    return Verdict(heavy=True, max_rows=10**9, timeout=3600.0)


def check(world: World, name: str, replies: Replies, *, last: bool = True) -> None:
    """The same replies; `last`: also whether the connection goes on after the last step.

    Who is still sending when its connection is closed may get a reset in place of the last words.
    """
    script = ALL[name]
    expected = compared(script, world.direct(name))
    found = compared(script, replies)
    for number, (wanted, got) in enumerate(zip(expected, found, strict=True)):
        assert wanted == got, f"step {number} of {name!r}"
    if last and not script.exact:
        assert ends(script, world.direct(name)) == ends(script, replies)


def ends(script: Script, replies: Replies) -> bool:
    """Whether the last step was left without an answer that lets the client go on."""
    return script.steps[-1].kinds == b"" or not replies[-1]


# Alone


@pytest.mark.parametrize("name", ALL)
def test_the_gateway_answers_as_the_server(several: World, name: str) -> None:
    script = ALL[name]
    several.direct(name)
    several.clean()
    with raw_client(several.gateway.dsn()) as raw:
        check(several, name, play(raw, script, whole))


@pytest.mark.parametrize("name", [name for name, script in ALL.items() if script.moves])
def test_in_pieces(several: World, name: str) -> None:
    script = ALL[name]
    several.direct(name)
    for send in [in_chunks(name), *([bytewise] if script.size < BYTEWISE else [])]:
        several.clean()
        with raw_client(several.gateway.dsn()) as raw:
            check(several, name, play(raw, script, send), last=False)


@pytest.mark.parametrize("name", of_themes("session", "prepared", "sql prepare", "errors", "bad"))
def test_in_session_mode(whole_sessions: World, name: str) -> None:
    """One session after another on one backend: none finds anything of the one before."""
    script = ALL[name]
    whole_sessions.direct(name)
    whole_sessions.clean()
    with raw_client(whole_sessions.gateway.dsn()) as raw:
        check(whole_sessions, name, play(raw, script, whole))


# Under the guard


@pytest.mark.parametrize("name", ALL)
def test_under_the_guard(guarded: World, name: str) -> None:
    """Each statement is asked about, queues for the lane, and goes alone."""
    script = ALL[name]
    guarded.direct(name)
    for send in (whole, in_chunks(name)) if script.moves else (whole,):
        guarded.clean()
        guarded.gateway.forget()
        with raw_client(guarded.gateway.dsn()) as raw:
            check(guarded, name, play(raw, script, send), last=send is whole)


# Among others


def idle(step: list[tuple[bytes, bytes]]) -> bool:
    """Whether the session is between transactions after these replies."""
    return bool(step) and step[-1][0] in b"ZA" and (b"Z", b"I") in step[-2:]


def play_among(raw: Raw, script: Script, between: partial[None]) -> Replies:
    """Play with something done by others wherever the client has no transaction open."""
    found: Replies = []
    for step in script.steps:
        if not found or idle(found[-1]):
            between()
        found.append(one_step(raw, step, whole))
    return found


def make_noise(raw: Raw, expected: Replies) -> None:
    expected.append(raw.ask(NOISE, 4))
    assert expected[0] == expected[-1]


def shared(script: Script) -> bool:
    return script.moves and not script.state and script.exact


@pytest.mark.parametrize("name", [name for name in of_themes(*SMALL) if shared(ALL[name])])
def test_with_another_on_the_only_backend(single: World, name: str) -> None:
    script = ALL[name]
    single.direct(name)
    single.clean()
    settings = {"application_name": "noise", "TimeZone": "Asia/Kabul", "DateStyle": "German, DMY"}
    with (
        raw_client(single.gateway.dsn()) as raw,
        raw_client(single.gateway.dsn(), **settings) as noise,
    ):
        noise_replies: Replies = []
        found = play_among(raw, script, partial(make_noise, noise, noise_replies))
        check(single, name, found)
        make_noise(noise, noise_replies)


class Movers:
    """Two clients that hold, in turn, the backend that was used last."""

    def __init__(self, holder: Raw, other: Raw) -> None:
        self._holder = holder
        self._other = other
        self._held = False

    def move(self) -> None:
        """Take the backend that is free, and free another."""
        assert b"CZ" == b"".join(kind for kind, _ in self._other.ask(query("BEGIN")))
        if self._held:
            self._holder.ask(query("COMMIT"))
        self._holder, self._other, self._held = self._other, self._holder, True


@pytest.mark.parametrize(
    "name", [name for name in of_themes(*SMALL) if ALL[name].moves and ALL[name].exact]
)
def test_moved_from_backend_to_backend(several: World, name: str) -> None:
    script = ALL[name]
    several.direct(name)
    several.clean()
    with ExitStack() as stack:
        raw, one, two = (
            stack.enter_context(raw_client(several.gateway.dsn(), **settings))
            for settings in ({}, {"application_name": "one"}, {"TimeZone": "Asia/Kabul"})
        )
        check(several, name, play_among(raw, script, partial(Movers(one, two).move)))


# That the others do what they are said to


PID = steps(*[query("SELECT pg_backend_pid()")] * 4)


def test_the_noise_is_on_the_same_backend(single: World) -> None:
    with raw_client(single.gateway.dsn()) as raw, raw_client(single.gateway.dsn()) as noise:
        pids = [rows(step) for step in play_among(raw, PID, partial(make_noise, noise, []))]
        assert 1 == len({str(pid) for pid in [*pids, rows(noise.ask(PID.steps[0].send))]})


def test_each_transaction_is_moved(several: World) -> None:
    with ExitStack() as stack:
        raw, one, two = (stack.enter_context(raw_client(several.gateway.dsn())) for _ in range(3))
        found = play_among(raw, PID, partial(Movers(one, two).move))
        pids = [rows(step) for step in found]
        assert all(before != after for before, after in pairwise(pids)), pids


def test_there_are_scripts_of_each_theme() -> None:
    assert all(THEMES.values())
    assert len(ALL) == sum(map(len, THEMES.values())) > 300
