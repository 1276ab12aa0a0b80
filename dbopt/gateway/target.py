"""Where a pool's backends connect to, and as whom."""

from __future__ import annotations

import glob
from dataclasses import dataclass, field

from dbopt.errors import FeatureNotSupported
from dbopt.gateway.userlist import SecretKind, Userlist
from dbopt.pg.connect import resolve
from dbopt.settings import Server

_SOCKET_DIRECTORIES = ("/var/run/postgresql", "/tmp")  # noqa: S108 - libpq's own defaults
_NEEDS_TLS = frozenset(("require", "verify-ca", "verify-full"))


@dataclass(frozen=True, slots=True)
class Target:
    """One server address with one database and user. `host` with a slash is a socket's place."""

    host: str
    port: int
    database: str
    user: str
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}/{self.database} as {self.user}"

    @property
    def socket_path(self) -> str:
        """The unix socket; "" where the target is reached over TCP."""
        return f"{self.host}/.s.PGSQL.{self.port}" if self.host.startswith("/") else ""


def check_encryption(parts: dict[str, str]) -> None:
    """Raises FeatureNotSupported where the DSN wants encryption that dbopt cannot give.

    Going on without it would send a password in clear text that was to be protected.
    """
    if parts.get("sslmode", "prefer") in _NEEDS_TLS:
        raise FeatureNotSupported(
            f"server.dsn asks for sslmode={parts['sslmode']}, and the gateway does not yet speak "
            "TLS to the server.",
            hint="Use a unix socket, a trusted network with sslmode=prefer, or a TLS tunnel.",
        )


def target(server: Server, database: str, user: str, users: Userlist) -> Target:
    """The target of the pool of that database and user.

    Raises ConfigError for a DSN that cannot be read, FeatureNotSupported for one that
    demands TLS.
    """
    parts = resolve(server.dsn)
    check_encryption(parts)
    host = parts.get("hostaddr") or parts.get("host", "")  # as libpq, which looks no name up then
    port = int(parts.get("port", "").split(",")[0] or "5432")
    own_user = parts.get("user", "")
    if server.force_user:
        user = own_user
    secret = users.get(user)
    password = secret.value if secret is not None and secret.kind is SecretKind.PLAIN else ""
    if not password and user == own_user:
        password = parts.get("password", "")
    return Target(host.split(",")[0] or _local(port), port, database, user, password)


def _local(port: int) -> str:
    """Where libpq would look when no host is named: the first socket there is, else localhost."""
    for directory in _SOCKET_DIRECTORIES:
        if glob.glob(f"{directory}/.s.PGSQL.{port}"):
            return directory
    return "localhost"
