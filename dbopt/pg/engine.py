"""A SQLAlchemy engine over psycopg, for Alembic, which wants one."""

from __future__ import annotations

import psycopg
from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import NullPool

from dbopt.pg.connect import APPLICATION_NAME, resolve, unreachable


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
