"""Admission: who may log in and how, by the settings and the files of this moment.

The user list, the certificate and auth_query are read at the start and at each reload; what
is broken at a reload is said in the log, and what was there before stays.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import structlog

from dbopt.errors import ConfigError
from dbopt.gateway.auth import Authenticator
from dbopt.gateway.auth_query import AuthQuery
from dbopt.gateway.client_tls import ClientTls, client_tls
from dbopt.gateway.connect import Session, connect
from dbopt.gateway.exchange import Candidate
from dbopt.gateway.lookup import Lookup
from dbopt.gateway.routes import Route, route, to_servers
from dbopt.gateway.target import Targets
from dbopt.gateway.userlist import Userlist, load
from dbopt.pg.connect import resolve
from dbopt.settings import Settings

log = structlog.get_logger("dbopt.gateway")


class Admission:
    """See the module. Raises ConfigError, at the start, for a file that cannot be used."""

    def __init__(self, settings: Settings, mock_key: bytes) -> None:
        self.settings = settings
        self.users = _users(settings)
        self.tls = _tls(settings)
        self._mock_key = mock_key
        self._query: AuthQuery | None = None
        self._lookup: Lookup | None = None
        self.auth = self._authenticator()

    def reload(self, settings: Settings) -> None:
        """Read all of it anew."""
        self.settings = settings
        try:
            self.users = _users(settings)
        except ConfigError as error:
            log.error("user list not reloaded", error=error.message, hint=error.hint)  # noqa: TRY400
        try:
            self.tls = _tls(settings)
        except ConfigError as error:
            log.error("certificate not reloaded", error=error.message, hint=error.hint)  # noqa: TRY400
        self.close()
        before, self.auth = self.auth, self._authenticator()
        self.auth.remember(before)

    def look_up(self, database: str, user: str) -> asyncio.Task[Candidate]:
        """Ask auth_query; see AuthQuery.ask. Only for who is not in the user list."""
        assert self._query is not None  # noqa: S101 - without it there is nothing to look up
        return self._query.ask(database, user)

    def servers(self, to: Route) -> Targets:
        """The servers of a pool, with what its user logs in with there.

        A secret of the settings comes first, then what a client of the user has proved.
        """
        found = to_servers(to, self.users)
        if found.hosts[0].has_secret or to.conninfo["user"] != to.user:
            return found
        return found.with_secret(self.auth.server_secret(to.database, to.user))

    def tick(self, now: float) -> None:
        """Once in a while: close connections of auth_query that are not used."""
        if self._lookup is not None:
            self._lookup.tick(now)

    def close(self) -> None:
        """Close the connections of auth_query. Who waits for an answer still gets it."""
        if self._lookup is not None:
            self._lookup.close()

    def _authenticator(self) -> Authenticator:
        gateway = self.settings.gateway
        self._query = self._lookup = None
        if gateway.auth_query and gateway.auth_type != "trust":
            self._lookup = Lookup(gateway.auth_query, self._connect, self._lookup_user)
            self._query = AuthQuery(self._lookup, gateway.auth_cache)
        auth = Authenticator(gateway.auth_type, self.users, self._mock_key, self._query)
        for warning in (*self.users.warnings, *auth.warnings()):
            log.warning("user list", warning=warning)
        return auth

    def _lookup_user(self, _database: str) -> str:
        """As whom auth_query runs."""
        settings = self.settings
        return settings.gateway.auth_user or resolve(settings.server.dsn).get("user", "")

    async def _connect(self, database: str) -> Session:
        """A connection for auth_query, to the server of a database in the client's words."""
        user = self._lookup_user(database)
        to = route(self.settings, database, user)
        conninfo = dict(to.conninfo)
        if conninfo["user"] != user:  # every client is made that user there; we are not one
            conninfo.pop("password", "")
            conninfo["user"] = user
        found = to_servers(replace(to, conninfo=conninfo), self.users)
        return await connect(found, to.connect_timeout)


def _users(settings: Settings) -> Userlist:
    path = settings.gateway.userlist
    return load(path) if path else Userlist({})


def _tls(settings: Settings) -> ClientTls | None:
    tls = client_tls(settings.gateway)
    for warning in tls.warnings if tls is not None else ():
        log.warning("certificate", warning=warning)
    return tls
