from __future__ import annotations

import pytest

from dbopt.migrate.looks import server
from dbopt.sql.findings import Severity
from tests.unit.migrate.looks.sights import DROP, sight


def test_a_healthy_server() -> None:
    healthy = sight()

    assert [] == [
        *server.writable(healthy),
        *server.version(healthy),
        *server.connections(healthy),
    ]


@pytest.mark.parametrize(
    ("fact", "rule"), [({"in_recovery": True}, "standby"), ({"read_only": True}, "read-only")]
)
def test_what_cannot_be_written(fact: dict[str, bool], rule: str) -> None:
    (found,) = server.writable(sight(server=fact))

    assert (rule, Severity.CRITICAL) == (found.rule, found.severity)


@pytest.mark.parametrize(
    ("version", "prepared", "forbidden"),
    [
        (140003, 0, True),
        (140004, 0, False),
        (140000, 10, True),
        (130004, 0, False),
        (130004, 10, True),
        (130005, 10, False),
        (150000, 10, False),
        (180001, 10, False),
    ],
)
def test_versions_that_lose_rows(version: int, prepared: int, forbidden: bool) -> None:
    parameters = {"max_prepared_transactions": float(prepared)}
    found = list(server.version(sight(server={"version_num": version}, parameters=parameters)))

    assert forbidden == bool(found)
    assert all(one.severity is Severity.CRITICAL for one in found)


def test_an_old_version_may_drop() -> None:
    assert [] == list(server.version(sight(DROP, server={"version_num": 140001})))


@pytest.mark.parametrize(
    ("facts", "left", "limit"),
    [
        ({"sessions": 96}, 1, "max_connections"),
        ({"role_limit": 3, "role_sessions": 2}, 1, "the role's CONNECTION LIMIT"),
        ({"database_limit": 5}, 0, "the database's CONNECTION LIMIT"),
    ],
)
def test_few_connections_left(facts: dict[str, int], left: int, limit: str) -> None:
    parameters = {"max_connections": 100.0, "superuser_reserved_connections": 3.0}
    (found,) = server.connections(sight(server=facts, parameters=parameters))

    assert (Severity.WARNING, left, limit) == (
        found.severity,
        found.evidence["left"],
        found.evidence["limit"],
    )
