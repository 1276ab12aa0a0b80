"""AuthQuery: what is kept and for how long, who asks, and what is made of answers."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from dbopt.errors import ConnectError, UserLookupFailed
from dbopt.gateway.auth_query import BETWEEN_WORDS, MAX_KEPT, OLD, AuthQuery
from dbopt.gateway.exchange import Candidate
from dbopt.gateway.userlist import SecretKind


class Server:
    """Users with secrets; `delay` is an event to wait for."""

    def __init__(self, **users: str) -> None:
        self.users = users
        self.asked: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.away = False

    async def secret_text(self, database: str, user: str) -> str | None:
        self.asked.append(user)
        await self.gate.wait()
        if self.away:
            raise ConnectError("PostgreSQL at db.internal:5432 cannot be reached.")
        return self.users.get(user)


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def make(server: Server, keep: float = 30.0) -> tuple[AuthQuery, Time]:
    time = Time()
    return AuthQuery(server, keep, time), time


def run(query: AuthQuery, *users: str) -> list[Candidate]:
    async def ask() -> list[Candidate]:
        return await asyncio.gather(*(query.ask("shop", user) for user in users))

    return asyncio.run(ask())


def test_an_answer_is_kept_for_its_time() -> None:
    query, time = make(Server(ann="x"))
    assert query.known("shop", "ann") is None
    (found,) = run(query, "ann")
    assert found.secret is not None
    assert (SecretKind.PLAIN, 100.0) == (found.secret.kind, found.asked)
    assert found is query.known("shop", "ann")
    assert query.known("other", "ann") is None
    time.now += 29.9
    assert found is query.known("shop", "ann")
    time.now += 0.1
    assert query.known("shop", "ann") is None


def test_that_there_is_no_such_user_is_kept_too() -> None:
    query, _ = make(Server())
    (found,) = run(query, "ann")
    assert found.secret is None
    assert found is query.known("shop", "ann")


def test_nothing_is_kept_where_that_is_asked_for() -> None:
    query, _ = make(Server(ann="x"), keep=0.0)
    run(query, "ann")
    assert query.known("shop", "ann") is None


def test_who_asks_at_the_same_time_asks_once() -> None:
    server = Server(ann="x")
    query, _ = make(server)
    assert 1 == len({id(found) for found in run(query, *["ann"] * 50)})
    assert ["ann"] == server.asked
    run(query, "ann")  # whoever asks again gets a new answer
    assert ["ann", "ann"] == server.asked


def test_a_failed_login_has_an_old_answer_asked_for_again() -> None:
    query, time = make(Server(ann="x"))
    (found,) = run(query, "ann")
    query.distrust("shop", "ann")
    assert found is query.known("shop", "ann")
    time.now += OLD
    assert query.is_old(found)
    query.distrust("shop", "ann")
    assert query.known("shop", "ann") is None
    query.distrust("shop", "ann")


def test_what_is_kept_is_bounded() -> None:
    query, _ = make(Server())
    run(query, *(f"user{n}" for n in range(MAX_KEPT + 5)))
    assert query.known("shop", "user4") is None
    assert query.known("shop", "user5") is not None


def test_a_server_that_is_away_is_not_named_to_the_client() -> None:
    server = Server()
    server.away = True
    query, _ = make(server)
    with pytest.raises(UserLookupFailed) as caught:
        run(query, "ann")
    assert "08006" == caught.value.sqlstate
    assert "db.internal" not in str(caught.value)
    assert query.known("shop", "ann") is None


def test_what_anybody_can_bring_about_is_logged_once_a_second() -> None:
    server = Server()
    server.away = True
    query, time = make(server)

    def fail() -> None:
        with pytest.raises(UserLookupFailed):
            run(query, "ann")

    with capture_logs() as logs:
        for _ in range(5):
            fail()
        assert 1 == len(logs)
        time.now += BETWEEN_WORDS
        fail()
    assert ["auth_query failed"] * 2 == [line["event"] for line in logs]


def test_what_is_no_secret_lets_nobody_in() -> None:
    query, _ = make(Server(ann="SCRAM-SHA-256$broken"))
    (found,) = run(query, "ann")
    assert found.secret is None
