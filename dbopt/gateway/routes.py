"""Routes: what the pool of one (database, user) is, resolved from all the settings.

Pure: the settings in, a Route out. What a user has of its own comes first, then what its
database has, then [pool].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from psycopg.conninfo import make_conninfo

from dbopt.errors import ConfigError, DboptError, UnknownDatabase
from dbopt.gateway.target import Targets, targets
from dbopt.gateway.userlist import Userlist
from dbopt.guardsettings import guard_rules
from dbopt.pg.connect import parse, resolve
from dbopt.settings import Database, Pool, Settings, User

ANY_DATABASE = "*"
"""The name of the section of all databases that have none of their own."""

_CONNECTION_KEYS = (
    "host", "port", "dbname", "user", "password", "target_session_attrs", "sslmode",
)  # fmt: skip
_POOL_KEYS = tuple(f.name for f in fields(Pool) if f.name not in ("min_size", "track_settings"))
_NO_DATABASE = Database()
_NO_USER = User()


@dataclass(frozen=True, slots=True)
class Route:
    """Everything that one pool needs. Times are seconds; a limit or a time of 0 is none.

    `database` and `user` are the client's words; `conninfo` has libpq's keys, with the
    names that the server knows as `dbname` and `user`, and with a `password` only where it
    is that user's. `heavy_share` is guard.heavy_share. `weights` is by application_name; who is
    not in it has 1.
    """

    database: str
    user: str
    mode: str
    min_size: int
    max_size: int
    reserve_size: int
    reserve_timeout: float
    max_idle: float
    max_lifetime: float
    warn_ratio: float
    max_queue: int
    queue_notice: float
    query_timeout: float
    transaction_timeout: float
    idle_transaction_timeout: float
    client_idle_timeout: float
    max_db_connections: int
    max_user_connections: int
    max_db_clients: int
    max_user_clients: int
    unshareable: str
    track_settings: frozenset[str]
    reset: str
    reset_query: str
    connect_query: str
    application_name_add_host: bool
    connect_timeout: float
    queue_timeout: float
    prepared_statements: int
    weights: Mapping[str, float]
    conninfo: Mapping[str, str] = field(repr=False)  # it may hold a password
    heavy_share: float = 1.0


def route(settings: Settings, database: str, user: str) -> Route:
    """The route of the pool of that database and user, in the client's words.

    Raises UnknownDatabase where there are [databases] sections and none fits, and
    ConfigError for a connection string that cannot be read.
    """
    check_database(settings, database)
    section = _section(settings, database)
    own = {name: resolved(settings, name, database, user) for name in _POOL_KEYS}
    tracked = resolved(settings, "track_settings", database, user).split(",")
    return Route(
        **own,
        database=database,
        user=user,
        min_size=min(resolved(settings, "min_size", database, user), own["max_size"]),
        track_settings=frozenset(name.strip().lower() for name in tracked if name.strip()),
        connect_timeout=settings.server.connect_timeout,
        queue_timeout=settings.gateway.queue_timeout,
        prepared_statements=settings.gateway.prepared_statements,
        weights={name: one.weight for name, one in settings.applications.items()},
        conninfo=_conninfo(settings, section, database, user),
        heavy_share=guard_rules(settings, database, user, "").heavy_share,
    )


def to_servers(to: Route, users: Userlist) -> Targets:
    """The servers of a route. Raises as `targets` does.

    A password that the settings give for the user there comes before the user list's, which
    is what clients log in with.
    """
    known = Userlist({}) if "password" in to.conninfo else users
    return targets(to.conninfo, to.conninfo["dbname"], to.conninfo["user"], known)


def own_dsn(settings: Settings, database: str) -> str:
    """The connection string to a client's database for dbopt itself, as server.dsn's user."""
    own = resolve(settings.server.dsn).get("user", "")
    return make_conninfo(**route(settings, database, own).conninfo)


def check_routes(settings: Settings) -> None:
    """Raises ConfigError for a database whose servers the settings do not tell.

    So that whoever starts or reloads the gateway is told, and not the first client.
    """
    nobody = Userlist({})
    to_servers(route(replace(settings, databases={}), "", ""), nobody)
    for name in settings.databases:
        try:
            to_servers(route(settings, name, ""), nobody)
        except DboptError as error:
            said = error.message.removeprefix("server.dsn: ").removeprefix(f"databases.{name}.")
            raise ConfigError(f"databases.{name}: {said}", hint=error.hint) from None


def resolved(settings: Settings, name: str, database: str, user: str) -> Any:
    """The value of a [pool] key for that database and user."""
    sections = settings.databases
    for own in (
        settings.users.get(user, _NO_USER),
        sections.get(database) or sections.get(ANY_DATABASE, _NO_DATABASE),
    ):
        value = getattr(own, name, None)
        if value is not None:
            return value
    return getattr(settings.pool, name)


def check_database(settings: Settings, database: str) -> None:
    """Raises UnknownDatabase where there are [databases] sections and none fits."""
    if settings.databases and not _section(settings, database):
        raise UnknownDatabase(f'database "{database}" does not exist')


def _section(settings: Settings, database: str) -> str:
    """The name of the database's section; "" where it has none."""
    sections = settings.databases
    return database if database in sections else ANY_DATABASE if ANY_DATABASE in sections else ""


def _conninfo(settings: Settings, section: str, database: str, user: str) -> dict[str, str]:
    own = settings.databases.get(section, _NO_DATABASE)
    given = parse(own.dsn or "", f"databases.{section}.dsn")
    parts = _over(resolve(settings.server.dsn), given)
    single = {key: value for key in _CONNECTION_KEYS if (value := getattr(own, key))}
    forced = parts.get("user", "") if settings.server.force_user else ""
    names = {"dbname": given.get("dbname") or database, "user": forced or user}
    return _over(parts, names | single)


def _over(under: Mapping[str, str], over: Mapping[str, str]) -> dict[str, str]:
    """Both connection strings in one. What belongs to what is replaced goes with it.

    A password is its user's, an address (hostaddr) its host's, and a list of ports the list
    of hosts'.
    """
    lost = set()
    if "user" in over and over["user"] != under.get("user"):
        lost.add("password")
    if "host" in over or "hostaddr" in over:
        lost |= {"host", "hostaddr"}
        if "," in under.get("port", ""):
            lost.add("port")
    return {key: value for key, value in under.items() if key not in lost} | dict(over)
