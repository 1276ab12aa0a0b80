"""SQLAlchemy over psycopg, for Alembic, and sessions of our own to where it is connected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo
from sqlalchemy import URL, Engine, create_engine
from sqlalchemy import Connection as Link
from sqlalchemy.pool import NullPool

from dbopt.pg.connect import APPLICATION_NAME, resolve, unreachable

_OTHERWISE = ("application_name", "client_encoding", "fallback_application_name", "hostaddr")
"""Parameters of a session that one of our own has otherwise."""


def engine(dsn: str, *, timeout: float = 5.0) -> Engine:
    """An engine without a pool. psycopg connects, so any DSN that libpq takes will do.

    Connecting raises ConnectError or AuthenticationError; a DSN that is none, ConfigError.
    """
    resolve(dsn)

    def open_connection() -> psycopg.Connection:
        try:
            return psycopg.connect(
                dsn,
                connect_timeout=max(2, round(timeout)),
                fallback_application_name=APPLICATION_NAME,
                # SQLAlchemy reads the server's version as text, which SQL_ASCII would make bytes.
                client_encoding="utf8",
                prepare_threshold=None,
            )
        except psycopg.OperationalError as error:
            raise unreachable(dsn, error) from None

    return create_engine("postgresql+psycopg://", creator=open_connection, poolclass=NullPool)


def dsn_of(connection: Link) -> str:
    """A DSN that leads where this SQLAlchemy connection does, as its user; it may hold a password.

    Of psycopg and psycopg2 the open session itself is asked, so that `creator`, `connect_args`
    and several hosts do no harm; of other drivers the engine's URL.
    """
    driver = connection.connection.driver_connection
    info = getattr(driver, "info", None)
    parts = _of_url(connection.engine.url) if info is None else _of_libpq(info)
    return make_conninfo(**parts, application_name=APPLICATION_NAME)


def with_settings(dsn: str, settings: Mapping[str, str]) -> str:
    """The DSN of sessions that begin with these settings, as SET would make them."""
    before = resolve(dsn).get("options", "")
    words = [f"-c {name}={_escaped(value)}" for name, value in settings.items()]
    return make_conninfo(dsn, options=" ".join([before, *words]).strip())


def _of_libpq(info: Any) -> dict[str, str]:
    """psycopg's `get_parameters` leaves out the password; psycopg2 has it in `dsn_parameters`."""
    given = info.get_parameters() if hasattr(info, "get_parameters") else info.dsn_parameters
    # The two drivers may have libpq's of their own, that know other parameters.
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    parts = {
        name: str(value)
        for name, value in given.items()
        if name in known and name not in _OTHERWISE and value not in (None, "")
    }
    # Of several hosts, the one that answered.
    parts |= {"host": info.host or "", "port": str(info.port)}
    return {name: value for name, value in (parts | {"password": info.password}).items() if value}


def _of_url(url: URL) -> dict[str, str]:
    """What asyncpg and pg8000 are told, in libpq's words."""
    query = {name: value for name, value in url.query.items() if isinstance(value, str)}
    host = url.host or query.get("host", "")
    port = url.port or query.get("port", "")
    parts = {
        "host": host,
        "port": str(port),
        "dbname": url.database or "",
        "user": url.username or "",
        "password": str(url.password or ""),
        "sslmode": query.get("sslmode") or query.get("ssl", ""),
    }
    return {name: value for name, value in parts.items() if value and value != "None"}


def _escaped(value: str) -> str:
    """As the server splits `options`: at spaces that no backslash precedes."""
    return "".join(f"\\{letter}" if letter in " \\\t\n" else letter for letter in value)
