"""The SQLSTATEs that dbopt sends or tells apart.

Source: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from __future__ import annotations

from enum import StrEnum


class SqlState(StrEnum):
    """Five characters by PostgreSQL's condition name."""

    CONNECTION_EXCEPTION = "08000"
    SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION = "08001"
    CONNECTION_DOES_NOT_EXIST = "08003"
    SQLSERVER_REJECTED_ESTABLISHMENT_OF_SQLCONNECTION = "08004"
    CONNECTION_FAILURE = "08006"
    PROTOCOL_VIOLATION = "08P01"
    FEATURE_NOT_SUPPORTED = "0A000"
    INVALID_PARAMETER_VALUE = "22023"
    ACTIVE_SQL_TRANSACTION = "25001"
    NO_ACTIVE_SQL_TRANSACTION = "25P01"
    IN_FAILED_SQL_TRANSACTION = "25P02"
    IDLE_IN_TRANSACTION_SESSION_TIMEOUT = "25P03"
    TRANSACTION_TIMEOUT = "25P04"
    INVALID_SQL_STATEMENT_NAME = "26000"
    INVALID_AUTHORIZATION_SPECIFICATION = "28000"
    INVALID_PASSWORD = "28P01"  # noqa: S105 - the name of a condition
    INVALID_CATALOG_NAME = "3D000"
    INVALID_SCHEMA_NAME = "3F000"
    SERIALIZATION_FAILURE = "40001"
    DEADLOCK_DETECTED = "40P01"
    INSUFFICIENT_PRIVILEGE = "42501"
    SYNTAX_ERROR = "42601"
    UNDEFINED_OBJECT = "42704"
    UNDEFINED_TABLE = "42P01"
    DUPLICATE_PREPARED_STATEMENT = "42P05"
    INSUFFICIENT_RESOURCES = "53000"
    TOO_MANY_CONNECTIONS = "53300"
    CONFIGURATION_LIMIT_EXCEEDED = "53400"
    OBJECT_NOT_IN_PREREQUISITE_STATE = "55000"
    LOCK_NOT_AVAILABLE = "55P03"
    QUERY_CANCELED = "57014"
    ADMIN_SHUTDOWN = "57P01"
    CRASH_SHUTDOWN = "57P02"
    CANNOT_CONNECT_NOW = "57P03"
    IDLE_SESSION_TIMEOUT = "57P05"
    CONFIG_FILE_ERROR = "F0000"
    INTERNAL_ERROR = "XX000"


def condition_name(sqlstate: str) -> str:
    """PostgreSQL's name of the condition, such as "query_canceled"; "" if it is not here."""
    member = SqlState._value2member_map_.get(sqlstate)
    return member.name.lower() if isinstance(member, SqlState) else ""
