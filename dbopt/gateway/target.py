"""Where a pool's backends connect to, and as whom.

Every option is libpq's, with its meaning there.
Source: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
"""

from __future__ import annotations

import glob
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from dbopt.errors import ConfigError
from dbopt.gateway import passfile
from dbopt.gateway.scram import ScramKeys
from dbopt.gateway.server_tls import TlsOptions, choice, tls_options
from dbopt.gateway.session_attrs import SESSION_ATTRS
from dbopt.gateway.userlist import Secret, SecretKind, Userlist

_SOCKET_DIRECTORIES: Final = ("/var/run/postgresql", "/tmp")  # noqa: S108 - libpq's own defaults
_DEFAULT_PORT: Final = 5432

METHODS: Final = frozenset(("password", "md5", "gss", "sspi", "scram-sha-256", "none"))
"""What require_auth may name; "none" is a server that asks for nothing."""


@dataclass(frozen=True, slots=True)
class Keepalive:
    """TCP keepalive, in seconds but for `count`; 0 leaves what the system does."""

    on: bool = True
    idle: int = 0
    interval: int = 0
    count: int = 0
    user_timeout_ms: int = 0


@dataclass(frozen=True, slots=True)
class ConnectOptions:
    """How to connect, whichever the host. `startup` goes into the startup packet."""

    tls: TlsOptions = field(default_factory=TlsOptions)
    channel_binding: str = "prefer"
    methods: frozenset[str] = METHODS
    passfile: str = ""
    keepalive: Keepalive = Keepalive()
    startup: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """One server with one database and user. `host` with a slash is a socket's place.

    `hostaddr` is the address of `host` where no name is to be looked up. Who logs in has the
    password, or the MD5 secret of it, or the keys of a SCRAM verifier; with none of them, what
    the password file says.
    """

    host: str
    port: int
    database: str
    user: str
    password: str = field(default="", repr=False)
    hostaddr: str = ""
    md5: str = field(default="", repr=False)
    keys: ScramKeys | None = field(default=None, repr=False)
    options: ConnectOptions = ConnectOptions()

    def __str__(self) -> str:
        return f"{self.host or self.hostaddr}:{self.port}/{self.database} as {self.user}"

    @property
    def socket_path(self) -> str:
        """The unix socket; "" where the target is reached over TCP. `@` is an abstract one."""
        if self.hostaddr or not self.host.startswith(("/", "@")):
            return ""
        return f"{self.host}/.s.PGSQL.{self.port}"

    @property
    def has_secret(self) -> bool:
        """Whether it is known what to log in with."""
        return bool(self.password or self.md5 or self.keys)

    def with_passfile(self) -> Target:
        """Itself, or with the password of the password file, which is read now."""
        if self.has_secret or not self.options.passfile:
            return self
        name = self.host or self.hostaddr
        hosts = (name, passfile.LOCALHOST) if name in _SOCKET_DIRECTORIES else (name,)
        entry = passfile.Entry(hosts, self.port, self.database, self.user)
        return replace(self, password=passfile.find(self.options.passfile, entry))


@dataclass(frozen=True, slots=True)
class Targets:
    """The servers that will do, in the order in which to try them.

    `session_attrs` is libpq's target_session_attrs; `load_balance` tries them in random order.
    """

    hosts: tuple[Target, ...]
    session_attrs: str = "any"
    load_balance: bool = False

    def __str__(self) -> str:
        return ", ".join(map(str, self.hosts))

    def with_secret(self, secret: Secret | ScramKeys | None) -> Targets:
        """The same servers, with what a client of this user logged in with.

        A SCRAM verifier opens no other server: give the keys that ScramServer won from it.
        """
        values = _secret(secret)
        return replace(self, hosts=tuple(replace(host, **values) for host in self.hosts))


def targets(conninfo: Mapping[str, str], database: str, user: str, users: Userlist) -> Targets:
    """The servers of the pool of that database and user.

    `conninfo` has libpq's keys; its password is that of its own user, and serves no other. A
    password of `users` comes first. Raises ConfigError for a value that cannot be,
    FeatureNotSupported for one that the gateway cannot give.
    """
    options = connect_options(conninfo)
    values = _secret(users.get(user))
    if not any(values.values()) and user == conninfo.get("user", ""):
        values["password"] = conninfo.get("password", "")
    hosts = tuple(
        Target(host, port, database, user, hostaddr=hostaddr, options=options, **values)
        for host, hostaddr, port in _addresses(conninfo)
    )
    return Targets(
        hosts,
        choice(conninfo, "target_session_attrs", SESSION_ATTRS),
        choice(conninfo, "load_balance_hosts", ("disable", "random")) == "random",
    )


def connect_options(conninfo: Mapping[str, str]) -> ConnectOptions:
    """What a conninfo says of the way to connect. Raises ConfigError or FeatureNotSupported."""
    return ConnectOptions(
        tls=tls_options(conninfo),
        channel_binding=choice(conninfo, "channel_binding", ("prefer", "disable", "require")),
        methods=_methods(conninfo.get("require_auth", "")),
        passfile=conninfo.get("passfile") or passfile.default_path(),
        keepalive=Keepalive(
            on=_number(conninfo, "keepalives", 1) != 0,
            idle=_number(conninfo, "keepalives_idle"),
            interval=_number(conninfo, "keepalives_interval"),
            count=_number(conninfo, "keepalives_count"),
            user_timeout_ms=_number(conninfo, "tcp_user_timeout"),
        ),
        startup=_startup(conninfo),
    )


def _startup(conninfo: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    # No name of dbopt's own: a client's RESET must lead to what a server alone would give it.
    return tuple(
        (key, value) for key in ("application_name", "options") if (value := conninfo.get(key))
    )


def _methods(text: str) -> frozenset[str]:
    """libpq's require_auth: a list of what is allowed, or, each with a "!", of what is not."""
    names = [name.strip() for name in text.split(",")] if text else []
    refused = {name[1:] for name in names if name.startswith("!")}
    allowed = {name for name in names if not name.startswith("!")}
    if (refused and allowed) or not (refused | allowed) <= METHODS:
        raise ConfigError(
            f"server.dsn: require_auth={text!r} is no list of methods.",
            hint=f"Name some of {', '.join(sorted(METHODS))}, or each with a ! before it.",
        )
    return frozenset(allowed) if allowed else METHODS - refused


def _secret(secret: Secret | ScramKeys | None) -> dict[str, Any]:
    values: dict[str, Any] = {"password": "", "md5": "", "keys": None}
    match secret:
        case ScramKeys():
            values["keys"] = secret
        case Secret(kind=SecretKind.SCRAM):
            values["keys"] = secret.keys
        case Secret(kind=SecretKind.PLAIN):
            values["password"] = secret.value
        case Secret(kind=SecretKind.MD5):
            values["md5"] = secret.value
    return values


def _addresses(conninfo: Mapping[str, str]) -> list[tuple[str, str, int]]:
    """Host, hostaddr and port of each server; libpq's rules of how many there are."""
    hosts = _list(conninfo, "host")
    hostaddrs = _list(conninfo, "hostaddr")
    ports = _list(conninfo, "port")
    count = max(len(hosts), len(hostaddrs), 1)
    if hosts and hostaddrs and len(hosts) != len(hostaddrs):
        raise ConfigError("server.dsn: host and hostaddr name different numbers of servers.")
    if len(ports) > 1 and len(ports) != count:
        raise ConfigError(f"server.dsn: {len(ports)} ports for {count} servers.")
    hosts, hostaddrs = hosts or [""] * count, hostaddrs or [""] * count
    numbers = [_port(port) for port in (ports or [""])]
    numbers = numbers * count if len(numbers) == 1 else numbers
    return [
        (host or ("" if address else _local(port)), address, port)
        for host, address, port in zip(hosts, hostaddrs, numbers, strict=True)
    ]


def _list(conninfo: Mapping[str, str], key: str) -> list[str]:
    text = conninfo.get(key, "")
    return [part.strip() for part in text.split(",")] if text else []


def _port(text: str) -> int:
    if not text:
        return _DEFAULT_PORT
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise ConfigError(f"server.dsn: port={text!r} is not a port.", hint="1 to 65535.")
    return int(text)


def _number(conninfo: Mapping[str, str], key: str, default: int = 0) -> int:
    text = conninfo.get(key) or str(default)
    if not text.isascii() or not text.isdecimal() or int(text) > 0x7FFFFFFF:
        raise ConfigError(f"server.dsn: {key}={text!r} is not a number from 0.")
    return int(text)


def _local(port: int) -> str:
    """Where libpq would look when no host is named: the first socket there is, else localhost."""
    for directory in _SOCKET_DIRECTORIES:
        if glob.glob(f"{directory}/.s.PGSQL.{port}"):
            return directory
    return "localhost"
