"""session_attrs: which server will do."""

from __future__ import annotations

import pytest

from dbopt.gateway import session_attrs

PRIMARY = {"in_hot_standby": "off", "default_transaction_read_only": "off"}
READ_ONLY = {"in_hot_standby": "off", "default_transaction_read_only": "on"}
STANDBY = {"in_hot_standby": "on", "default_transaction_read_only": "off"}
OLD = {"server_version": "13.0"}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("any", (True, True, True, True)),
        ("read-write", (True, False, False, None)),
        ("read-only", (False, True, True, None)),
        ("primary", (True, True, False, None)),
        ("standby", (False, False, True, None)),
    ],
)
def test_what_it_reports(wanted: str, expected: tuple[bool | None, ...]) -> None:
    servers = (PRIMARY, READ_ONLY, STANDBY, OLD)
    assert expected == tuple(session_attrs.suits(wanted, server) for server in servers)


@pytest.mark.parametrize(
    ("wanted", "value", "expected"),
    [
        ("read-write", b"off", True),
        ("read-write", b"on", False),
        ("read-only", b"on", True),
        ("read-only", b"off", False),
        ("primary", b"f", True),
        ("primary", b"t", False),
        ("standby", b"t", True),
        ("standby", b"f", False),
        ("primary", None, False),
    ],
)
def test_what_it_answers(wanted: str, value: bytes | None, expected: bool) -> None:
    assert expected is session_attrs.answer_suits(wanted, value)


def test_questions() -> None:
    for wanted in ("read-write", "read-only"):
        assert b"SHOW transaction_read_only" == session_attrs.question(wanted)
    for wanted in ("primary", "standby"):
        assert b"SELECT pg_catalog.pg_is_in_recovery()" == session_attrs.question(wanted)


def test_passes() -> None:
    assert ("standby", "any") == session_attrs.passes("prefer-standby")
    assert ("primary",) == session_attrs.passes("primary")
