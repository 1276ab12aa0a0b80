from __future__ import annotations

from dataclasses import fields, replace

import pytest

from dbopt.pg import health as module
from dbopt.pg.health import DATABASE_PARTS, SERVER_PARTS, Health, quantity
from dbopt.pg.healthparts import Bloat, Parameter, Sequence
from dbopt.pg.healthunseen import Unseen, hidden
from dbopt.pg.sqlfile import statements
from tests.unit.check.builders import health, server


@pytest.mark.parametrize(
    ("setting", "unit", "expected"),
    [
        ("16384", "8kB", 128 << 20),
        ("4096", "kB", 4 << 20),
        ("1", "16MB", 16 << 20),
        ("1000", "ms", 1.0),
        ("5", "min", 300.0),
        ("-1", "ms", -0.001),
        ("0.9", "", 0.9),
    ],
)
def test_parameters_as_numbers(setting: str, unit: str, expected: float) -> None:
    assert expected == quantity(Parameter("x", setting, unit))


def test_what_the_server_lacks_is_none() -> None:
    assert (None, None, False) == (
        health().text("no_such"), health().number("no_such"), health().off("no_such")
    )  # fmt: skip


def test_each_part_has_a_query_and_a_field() -> None:
    parts = {**SERVER_PARTS, **DATABASE_PARTS}
    queries = {s.name for s in statements() if s.name.startswith("health_")}
    assert {f"health_{name}" for name in parts} | {"health_settings", "health_server"} == queries
    assert set(parts) == {f.name for f in fields(Health)} - {"server", "settings", "unseen"}


@pytest.mark.parametrize("version", ["", "1.8", "1.9", "1.10", "2.0"])
def test_evictions_are_counted_since_1_9(version: str) -> None:
    counts = module._counts_evictions(server(statements_version=version))
    assert counts == (version not in ("", "1.8"))


def test_a_superuser_sees_all() -> None:
    assert {} == hidden(health())


def test_a_plain_role_sees_its_own_sessions() -> None:
    plain = health(server=server(is_superuser=False, reads_all_stats=False))
    unseen = hidden(plain)
    assert {"sessions", "replicas"} == set(unseen)
    assert all(part.partly for part in unseen.values())
    assert 'GRANT pg_monitor TO "dbopt";' == unseen["sessions"].remedy


def test_a_standby_counts_nothing() -> None:
    assert "primary" in hidden(health(server=server(in_recovery=True)))["counters"].remedy
    assert "track_counts" in hidden(health({"track_counts": "off"}))["counters"].remedy


def test_passwords_on_a_managed_server() -> None:
    denied = {"passwords": Unseen("denied", "GRANT")}
    for managed_by, words in (("", "as a superuser"), ("rdsadmin", "password_encryption")):
        looked = replace(health(server=server(managed_by=managed_by)), unseen=denied)
        assert words in hidden(looked)["passwords"].remedy


def test_sequences_that_cannot_be_read() -> None:
    sequences = (Sequence("B", "b", readable=False), Sequence("a", "c", readable=False),
                 Sequence("a", "d"), Sequence("a", "e", locked=True))  # fmt: skip
    unseen = hidden(health(sequences=sequences))["sequences"]
    assert "2 of 4 sequences cannot be read by this role." == unseen.reason
    assert 'GRANT SELECT ON ALL SEQUENCES IN SCHEMA "B", a TO "dbopt";' == unseen.remedy
    assert unseen.partly


def test_sequences_that_are_locked() -> None:
    unseen = hidden(health(sequences=(Sequence("a", "b", locked=True), Sequence("a", "c"))))
    assert "1 of 2 sequences are locked just now." == unseen["sequences"].reason


def test_tables_that_cannot_be_read() -> None:
    unseen = hidden(health(bloat=(Bloat("a", "b", 9, readable=False),)))["bloat"]
    assert 'GRANT SELECT ON ALL TABLES IN SCHEMA a TO "dbopt";' == unseen.remedy
