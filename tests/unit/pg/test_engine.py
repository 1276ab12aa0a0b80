from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Connection, make_url

from dbopt.pg.engine import dsn_of, with_settings


def link(url: str, info: Any = None) -> Connection:
    """A SQLAlchemy connection, as far as it is looked at."""
    pooled = SimpleNamespace(driver_connection=SimpleNamespace(info=info))
    engine = SimpleNamespace(url=make_url(url))
    return cast(Connection, SimpleNamespace(connection=pooled, engine=engine))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "postgresql+asyncpg://u:p%40ss@db:5433/shop?ssl=require",
            {"host": "db", "port": "5433", "dbname": "shop", "user": "u", "password": "p@ss",
             "sslmode": "require"},
        ),
        ("postgresql+asyncpg://u@/shop?host=/run", {"host": "/run", "dbname": "shop", "user": "u"}),
        ("postgresql+pg8000://db/shop", {"host": "db", "dbname": "shop"}),
    ],
)  # fmt: skip
def test_the_url_tells_where_other_drivers_lead(url: str, expected: dict[str, str]) -> None:
    assert expected | {"application_name": "dbopt"} == conninfo_to_dict(dsn_of(link(url)))


def test_the_session_tells_where_libpqs_lead() -> None:
    """Of several hosts, the one that answered; nothing that its libpq alone knows."""
    given = {
        "host": "a,b", "port": "1,2", "user": "u", "dbname": "shop", "sslmode": "verify-full",
        "unheard_of": "x", "application_name": "theirs", "client_encoding": "latin1",
    }  # fmt: skip
    info = SimpleNamespace(dsn_parameters=given, host="b", port=2, password="secret")
    assert conninfo_to_dict(dsn_of(link("postgresql+psycopg2://", info))) == {
        "host": "b", "port": "2", "user": "u", "dbname": "shop", "sslmode": "verify-full",
        "password": "secret", "application_name": "dbopt",
    }  # fmt: skip


def test_settings_go_along_as_options() -> None:
    made = with_settings("host=a options='-c a=b'", {"search_path": '"My s", b\\', "role": "r"})
    assert conninfo_to_dict(made)["options"] == (
        '-c a=b -c search_path="My\\ s",\\ b\\\\ -c role=r'
    )
