"""The tree of errors. Each class knows its SQLSTATE, its HTTP status and its exit code.

A message says what happened, to what, and what to do next. It never holds a secret or
a literal of a statement.
"""

from __future__ import annotations

from typing import ClassVar

EXIT_OK = 0
EXIT_FINDINGS = 1
EXIT_USAGE = 2
EXIT_UNREACHABLE = 3
EXIT_PARTIAL = 4
EXIT_BUSY = 5
EXIT_DEADLINE = 6
EXIT_REFUSED = 7

EXIT_CODES: dict[int, str] = {
    EXIT_OK: "fine",
    EXIT_FINDINGS: "findings",
    EXIT_USAGE: "usage or configuration",
    EXIT_UNREACHABLE: "cannot reach the database",
    EXIT_PARTIAL: "partly done",
    EXIT_BUSY: "another run is at work",
    EXIT_DEADLINE: "the deadline has passed",
    EXIT_REFUSED: "refused before anything was changed",
}
"""What each exit code means; `dbopt --help` prints this table."""


class DboptError(Exception):
    """Something that dbopt could not do."""

    sqlstate: ClassVar[str] = "XX000"
    http_status: ClassVar[int] = 500
    exit_code: ClassVar[int] = EXIT_PARTIAL

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").splitlines()[0])
        self.hint = hint

    @property
    def message(self) -> str:
        """The message without the hint."""
        return str(self.args[0])

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class ConfigError(DboptError):
    """The configuration is not valid."""

    sqlstate = "F0000"
    exit_code = EXIT_USAGE


class UsageError(DboptError):
    """The command was not called in a way that can work."""

    sqlstate = "22023"
    http_status = 400
    exit_code = EXIT_USAGE


class ConnectError(DboptError):
    """The database cannot be reached."""

    sqlstate = "08001"
    http_status = 503
    exit_code = EXIT_UNREACHABLE


class AuthenticationError(DboptError):
    """Authentication failed."""

    sqlstate = "28P01"
    http_status = 401
    exit_code = EXIT_UNREACHABLE


class AccessRefused(DboptError):
    """The client may not connect in this way."""

    sqlstate = "28000"
    http_status = 401
    exit_code = EXIT_UNREACHABLE


class UserLookupFailed(DboptError):
    """What a user logs in with could not be looked up."""

    sqlstate = "08006"
    http_status = 503
    exit_code = EXIT_UNREACHABLE


class ProtocolError(DboptError):
    """Bytes that are not PostgreSQL protocol 3, or a message that is not allowed here."""

    sqlstate = "08P01"
    http_status = 400


class UnsupportedProtocol(ProtocolError):
    """A startup packet of another protocol than 3; `major` says of which."""

    sqlstate = "0A000"

    def __init__(self, message: str = "", major: int = 0) -> None:
        super().__init__(message)
        self.major = major


class FeatureNotSupported(DboptError):
    """A thing that PostgreSQL knows and dbopt does not do."""

    sqlstate = "0A000"
    http_status = 501


class QueueTimeout(DboptError):
    """No server connection came free in time."""

    sqlstate = "53300"
    http_status = 503


class QueueFull(DboptError):
    """As many clients wait for a server connection as may."""

    sqlstate = "53300"
    http_status = 503


class TooManyClients(DboptError):
    """The limit of client connections is reached."""

    sqlstate = "53300"
    http_status = 503


class TooManyChannels(DboptError):
    """The limit of channels that a database's listener hears is reached."""

    sqlstate = "53400"
    http_status = 503


class ListenRefused(DboptError):
    """PostgreSQL refused a LISTEN; `reported` is the SQLSTATE that it gave."""

    sqlstate = "55000"
    http_status = 502

    def __init__(self, message: str = "", reported: str = "", *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reported = reported or self.sqlstate


class UnknownDatabase(DboptError):
    """The database does not exist."""

    sqlstate = "3D000"
    http_status = 404


class ServerLost(DboptError):
    """The server connection was lost while a statement ran."""

    sqlstate = "08006"
    http_status = 502
    exit_code = EXIT_UNREACHABLE


class ShuttingDown(DboptError):
    """The gateway is shutting down."""

    sqlstate = "57P01"
    http_status = 503


class DeclarationError(DboptError):
    """A declared index cannot be read."""

    sqlstate = "42601"
    exit_code = EXIT_USAGE


class MigrationError(DboptError):
    """A migration did not end as it should."""

    sqlstate = "55000"
    exit_code = EXIT_PARTIAL


class MigrationBusy(MigrationError):
    """Another run migrates this database now."""

    sqlstate = "55P03"
    http_status = 409
    exit_code = EXIT_BUSY


class DeadlinePassed(MigrationError):
    """What was to be done took longer than it may."""

    sqlstate = "57014"
    http_status = 504
    exit_code = EXIT_DEADLINE


class MigrationRefused(MigrationError):
    """A look before the first change has found what would make it fail or block others."""

    sqlstate = "55000"
    http_status = 409
    exit_code = EXIT_REFUSED


class TableLocked(MigrationRefused):
    """Somebody has locked a declared table for himself, so that nobody can look at it."""

    sqlstate = "55P03"


class QueryFailed(DboptError):
    """PostgreSQL refused a statement that dbopt sent; `reported` is the SQLSTATE that it gave."""

    http_status = 502

    def __init__(self, message: str = "", reported: str = "", *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reported = reported


class StoreMissing(DboptError):
    """The schema dbopt is not in the store."""

    sqlstate = "3F000"
    http_status = 503
    exit_code = EXIT_USAGE


class QueryCancelled(DboptError):
    """The statement was cancelled on the client's request."""

    sqlstate = "57014"


class QueryTimeout(DboptError):
    """The statement ran longer than the gateway's query_timeout."""

    sqlstate = "57014"


class TooManyRows(DboptError):
    """The statement returns more rows than guard.max_rows allows."""

    sqlstate = "54000"
    http_status = 400


class TransactionTimeout(DboptError):
    """The transaction took longer than the gateway's transaction_timeout."""

    sqlstate = "25P04"


class IdleTransactionTimeout(DboptError):
    """The transaction was idle for longer than the gateway's idle_transaction_timeout."""

    sqlstate = "25P03"


class ClientIdleTimeout(DboptError):
    """The client sent nothing for longer than the gateway's client_idle_timeout."""

    sqlstate = "57P05"


class ServerRefused(ConnectError):
    """The server refused a session; `reported` is the SQLSTATE that it gave."""

    def __init__(self, message: str, reported: str) -> None:
        super().__init__(message)
        self.reported = reported

    @property
    def temporary(self) -> bool:
        """Whether trying again may help: the server starts, stops, or has no slot free."""
        return self.reported.startswith(("57P", "53"))
