"""psycopg's errors as dbopt's."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors
from psycopg_pool import PoolTimeout

from dbopt.errors import ConnectError, DboptError, QueryFailed, ServerLost, StoreMissing
from dbopt.pg.refusal import translate, translated


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.UndefinedTable("x"), QueryFailed),
        (errors.InsufficientPrivilege("x"), QueryFailed),
        (errors.QueryCanceled("x"), QueryFailed),
        (errors.AdminShutdown("x"), ServerLost),
        (errors.CannotConnectNow("x"), ServerLost),
        (errors.ConnectionFailure("x"), ServerLost),
        (psycopg.OperationalError("the connection is closed"), ServerLost),
        (psycopg.InterfaceError("x"), QueryFailed),
        (PoolTimeout("x"), ConnectError),
    ],
)
def test_the_kind(error: psycopg.Error, kind: type[DboptError]) -> None:
    assert type(translate("Reading x", error)) is kind


def test_a_missing_table_of_the_store() -> None:
    kinds = (errors.UndefinedTable, errors.InvalidSchemaName, errors.UndefinedColumn)
    for error in (kind("x") for kind in kinds):
        assert type(translate("Reading x", error, store=True)) is StoreMissing
        assert type(translate("Reading x", error)) is QueryFailed


def test_the_servers_words_are_not_passed_on() -> None:
    with pytest.raises(QueryFailed) as caught, translated("Reading x"):
        raise errors.InsufficientPrivilege('permission denied for "secret"')
    expected = (
        "Reading x: PostgreSQL answered 42501 (insufficient privilege). "
        "dbopt's role lacks the privilege: statistics need pg_monitor, dbopt's schema CREATE on "
        "the database or USAGE of it, an index its table's owner."
    )
    assert expected == str(caught.value)
    assert caught.value.__cause__ is None


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError), translated("Reading x"):
        raise KeyError("x")
