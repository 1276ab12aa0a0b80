"""Limits: who may come in, and who may open a backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from dbopt.errors import TooManyClients
from dbopt.gateway.limits import Limits
from dbopt.settings import Database, Pool, Settings, User

PAIRS = [("a", "u"), ("a", "v"), ("b", "u"), ("b", "v")]


def limits(databases: Any = (), users: Any = (), **pool: int) -> Limits:
    return Limits(Settings(pool=Pool(**pool), databases=dict(databases), users=dict(users)))


def admitted(of: Limits, database: str = "a", user: str = "u") -> bool:
    try:
        of.admit_client(database, user)
    except TooManyClients:
        return False
    return True


def opened(of: Limits, database: str = "a", user: str = "u") -> bool:
    if not of.room_for_backend(database, user):
        return False
    of.backend_opened(database, user)
    return True


def test_without_limits_all_come_in() -> None:
    of = limits()
    for database, user in PAIRS * 50:
        assert admitted(of, database, user)
        assert opened(of, database, user)


@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        ({"max_db_clients": 1}, [True, False, True, False]),
        ({"max_user_clients": 1}, [True, True, False, False]),
        ({"max_db_clients": 1, "max_user_clients": 1}, [True, False, False, True]),
    ],
)
def test_clients_of_a_database_and_of_a_user(pool: dict[str, int], expected: list[bool]) -> None:
    of = limits(**pool)
    assert expected == [admitted(of, *pair) for pair in PAIRS]


@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        ({"max_db_connections": 1}, [True, False, True, False]),
        ({"max_user_connections": 1}, [True, True, False, False]),
        ({"max_db_connections": 1, "max_user_connections": 1}, [True, False, False, True]),
    ],
)
def test_backends_of_a_database_and_of_a_user(pool: dict[str, int], expected: list[bool]) -> None:
    of = limits(**pool)
    assert expected == [opened(of, *pair) for pair in PAIRS]


def test_who_leaves_makes_room() -> None:
    of = limits(max_db_clients=1, max_user_connections=1)
    for _ in range(3):
        assert [True, False] == [admitted(of), admitted(of)]
        assert [True, False] == [opened(of), opened(of)]
        of.leave_client("a", "u")
        of.backend_closed("a", "u")


def test_who_is_refused_is_not_counted() -> None:
    of = limits(max_db_clients=1, max_user_clients=2)
    assert [True, False, False] == [admitted(of) for _ in range(3)]
    of.leave_client("a", "u")
    assert [True, True, False] == [
        admitted(of, "a"), admitted(of, "b"), admitted(of, "c"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("pool", "said"),
    [
        (
            {"max_db_clients": 1},
            'Database "a" already has 1 clients; max_db_clients is 1. Raise max_db_clients, or '
            "close connections that are not used.",
        ),
        (
            {"max_user_clients": 1},
            'User "u" already has 1 clients; max_user_clients is 1. Raise max_user_clients, or '
            "close connections that are not used.",
        ),
    ],
)
def test_the_refusal_says_which_limit(pool: dict[str, int], said: str) -> None:
    of = limits(**pool)
    of.admit_client("a", "u")
    with pytest.raises(TooManyClients) as caught:
        of.admit_client("a", "u")
    assert (said, "53300") == (str(caught.value), caught.value.sqlstate)


def test_why_there_is_no_room_for_a_backend() -> None:
    of = limits(max_db_connections=1)
    assert "" == of.full("a", "u")
    of.backend_opened("a", "u")
    said = 'database "a" has 1 server connections; max_db_connections is 1'
    assert (said, "") == (of.full("a", "v"), of.full("b", "v"))


def test_a_backend_beyond_the_limit_is_counted() -> None:
    of = limits(max_db_connections=1)
    of.backend_opened("a", "u")
    of.backend_opened("a", "v")
    of.backend_closed("a", "v")
    assert not of.room_for_backend("a", "u")


def test_limits_of_one_database_and_one_user() -> None:
    of = limits(
        {"a": Database(max_db_clients=2, max_db_connections=1), "*": Database()},
        {"u": User(max_user_clients=1, max_user_connections=2)},
        max_db_clients=1,
    )
    assert [True, False, True, False] == [
        admitted(of, "a", "u"), admitted(of, "a", "u"),
        admitted(of, "a", "v"), admitted(of, "a", "v"),
    ]  # fmt: skip
    assert [True, False] == [admitted(of, "b", "v"), admitted(of, "b", "v")]
    assert [True, True, False] == [
        opened(of, "a", "u"), opened(of, "b", "u"), opened(of, "b", "u"),
    ]  # fmt: skip


def test_a_reload_acts_on_who_comes_next() -> None:
    of = limits()
    for _ in range(3):
        of.admit_client("a", "u")
    of.settings = replace(of.settings, pool=Pool(max_db_clients=2))
    assert not admitted(of)
    of.leave_client("a", "u")
    of.leave_client("a", "u")
    assert admitted(of)


def test_names_that_are_gone_are_forgotten() -> None:
    of = limits(max_db_clients=1)
    for number in range(100):
        of.admit_client(f"db{number}", f"user{number}")
        of.backend_opened(f"db{number}", f"user{number}")
        of.leave_client(f"db{number}", f"user{number}")
        of.backend_closed(f"db{number}", f"user{number}")
        admitted(of, "a", f"nobody{number}")
    kept = (of._db_clients, of._user_clients, of._db_backends, of._user_backends)
    assert [1, 1, 0, 0] == [len(counts) for counts in kept]


# Rivals


class Rival:
    """A pool that has `idle` backends, by since when, and `used` ones."""

    def __init__(self, of: Limits, database: str, user: str, *idle: float, used: int = 0) -> None:
        self.of, self.database, self.user = of, database, user
        self.idle = list(idle)
        self.used = used
        self.asked: list[Callable[[], None]] = []
        of.count_backends(database, user, len(idle) + used)
        of.pools.add(self)

    def idle_since(self) -> float | None:
        return self.idle[0] if self.idle else None

    def close_idle(self) -> None:
        self.idle.pop(0)
        self.of.count_backends(self.database, self.user, -1)

    def in_use(self) -> int:
        return self.used

    def surrender(self, then: Callable[[], None]) -> None:
        self.asked.append(then)


def test_room_is_made_by_the_least_recently_used_of_the_same_database_or_user() -> None:
    of = limits(max_db_connections=3)
    old, new = Rival(of, "a", "u", 5.0, 9.0), Rival(of, "a", "v", 7.0)
    elsewhere = Rival(of, "b", "w", 1.0)
    for _ in range(2):
        assert of.make_room("a", "w")
        assert opened(of, "a", "w")
    assert ([9.0], [], [1.0]) == (old.idle, new.idle, elsewhere.idle)


def test_without_a_limit_in_the_way_nothing_is_closed() -> None:
    of = limits(max_db_connections=3)
    rival = Rival(of, "a", "u", 5.0)
    assert of.make_room("a", "v")
    assert [5.0] == rival.idle


def test_no_room_where_nothing_is_idle() -> None:
    of = limits(max_user_connections=1)
    Rival(of, "a", "u", used=1)
    assert not of.make_room("b", "u")


def test_who_has_most_gives_one_up() -> None:
    of = limits(max_db_connections=4)
    few, most = Rival(of, "a", "u", used=1), Rival(of, "a", "v", used=3)
    other = Rival(of, "b", "v", used=9)

    def then() -> None:
        """Not called here."""

    of.demand("a", "w", then)
    of.demand("c", "w", then)  # no limit is in its way
    assert ([], [then], []) == (few.asked, most.asked, other.asked)
