"""Refuses values that are each allowed and cannot be true together."""

from __future__ import annotations

import ipaddress
import re
import zoneinfo
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from dbopt.errors import ConfigError
from dbopt.settings import Database, Settings

_SETTING_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$.]*")
_FINGERPRINT = re.compile(r"[0-9a-fA-F]{16}")
_DAILY = re.compile(r"(?:[01]?\d|2[0-3]):[0-5]\d")
_ENCRYPTED = ("require", "verify-ca", "verify-full")


@dataclass(frozen=True, slots=True)
class Conflict:
    """The key that is wrong in this company, what is wrong, and what to do."""

    key: str
    message: str
    hint: str


def check_together(settings: Settings, where: Callable[[str], str]) -> None:
    """Raises ConfigError for the first conflict; `where` gives the place of a dotted key."""
    for check in (
        _pool,
        _databases,
        _users,
        _guard,
        _authentication,
        _encryption,
        _listening,
        _report,
    ):
        for found in check(settings):
            raise ConfigError(f"{where(found.key)}: {found.key}: {found.message}", hint=found.hint)


def is_loopback(host: str) -> bool:
    """Whether a listen address can be reached from this machine alone."""
    if host in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _pool(settings: Settings) -> Iterator[Conflict]:
    pool = settings.pool
    yield from _sizes("pool", pool.min_size, pool.max_size, "pool.max_size")
    yield from _sizes("pool", pool.min_size, pool.max_db_connections, "pool.max_db_connections")
    yield from _sizes("pool", pool.min_size, pool.max_user_connections, "pool.max_user_connections")
    yield from _statement_mode("pool", pool.mode, pool.transaction_timeout)
    yield from _tracked("pool", pool.track_settings)
    yield from _reset("pool", pool.reset, pool.reset_query)


def _databases(settings: Settings) -> Iterator[Conflict]:
    pool = settings.pool
    for name, own in settings.databases.items():
        section = f"databases.{name}"
        yield from _named(section, name)
        # An inherited minimum gives way; one that is given for this database must fit.
        most = own.max_size or pool.max_size
        yield from _sizes(section, own.min_size or 0, most, "max_size")
        most = pool.max_db_connections if own.max_db_connections is None else own.max_db_connections
        yield from _sizes(section, own.min_size or 0, most, "max_db_connections")
        yield from _statement_mode(section, own.mode, own.transaction_timeout)
        yield from _tracked(section, own.track_settings or "")
        query = pool.reset_query if own.reset_query is None else own.reset_query
        yield from _reset(section, own.reset or pool.reset, query)
        yield from _server(section, own)


def _users(settings: Settings) -> Iterator[Conflict]:
    for name, own in settings.users.items():
        section = f"users.{name}"
        yield from _named(section, name)
        most = own.max_size or settings.pool.max_size
        yield from _sizes(section, own.min_size or 0, most, "max_size")
        yield from _statement_mode(section, own.mode, own.transaction_timeout)


def _guard(settings: Settings) -> Iterator[Conflict]:
    lists = ("allow", "deny")
    for name in lists:
        yield from _fingerprints(f"guard.{name}", getattr(settings.guard, name))
    for kind in ("databases", "users", "applications", "routes"):
        for section, own in getattr(settings, kind).items():
            for name in lists:
                key = f"guard_{name}"
                yield from _fingerprints(f"{kind}.{section}.{key}", getattr(own, key) or "")


def _fingerprints(key: str, text: str) -> Iterator[Conflict]:
    for word in text.split(",") if text.strip() else ():
        if not _FINGERPRINT.fullmatch(word.strip()):
            # Cut short: it may be a whole statement, with its literals.
            yield Conflict(
                key,
                f'found "{word.strip()[:16]}", which is no fingerprint.',
                "Write fingerprints of 16 hexadecimal digits, separated by commas; "
                "`dbopt query fingerprint` tells a statement's.",
            )


def _named(section: str, name: str) -> Iterator[Conflict]:
    if not name or "\0" in name:
        yield Conflict(section, "has a name that no client can give.", "Name it otherwise.")


def _sizes(section: str, least: int, most: int, limit: str) -> Iterator[Conflict]:
    if least > most > 0:
        yield Conflict(
            f"{section}.min_size",
            f"found {least}; allowed is at most {limit}, {most}.",
            f"Lower {section}.min_size or raise {limit}.",
        )


def _statement_mode(section: str, mode: str | None, timeout: float | None) -> Iterator[Conflict]:
    if mode == "statement" and timeout:
        yield Conflict(
            f"{section}.transaction_timeout",
            f'found {timeout:g} with {section}.mode "statement", which has no transactions.',
            f"Set {section}.query_timeout instead.",
        )


def _tracked(section: str, names: str) -> Iterator[Conflict]:
    for name in names.split(",") if names not in ("", "*") else ():
        if not _SETTING_NAME.fullmatch(name.strip()):
            yield Conflict(
                f"{section}.track_settings",
                f'found "{name.strip()[:64]}", which is no name of a setting.',
                "Write names separated by commas, such as search_path, work_mem.",
            )


def _reset(section: str, reset: str, query: str) -> Iterator[Conflict]:
    if reset == "always" and not query.strip():
        yield Conflict(
            f"{section}.reset_query",
            f'is empty, with {section}.reset "always": a client would leave its state to the next.',
            'Set it, such as "DISCARD ALL", or set reset to "smart".',
        )


def _server(section: str, own: Database) -> Iterator[Conflict]:
    ports = own.port.split(",") if own.port else []
    for port in (port.strip() for port in ports):
        if port and not (port.isascii() and port.isdigit() and 0 < int(port[:9]) < 65536):
            yield Conflict(
                f"{section}.port",
                f'found "{port[:64]}"; allowed is 1 to 65535, or a list of such with commas.',
                "Give the port of the server.",
            )
    if own.password and not own.user:
        yield Conflict(
            f"{section}.password",
            f"is there without {section}.user, whose password it would be.",
            f"Set {section}.user, or give clients' passwords by gateway.userlist.",
        )
    hosts = own.host.split(",") if own.host else []
    if hosts and len(ports) > 1 and len(ports) != len(hosts):
        yield Conflict(
            f"{section}.port",
            f"names {len(ports)} ports for {len(hosts)} hosts.",
            "Give one port for all, or one for each host.",
        )


def _authentication(settings: Settings) -> Iterator[Conflict]:
    gateway = settings.gateway
    kind, remote = gateway.auth_type, not is_loopback(gateway.host)
    if kind != "trust" and not gateway.userlist and not gateway.auth_query:
        yield Conflict(
            "gateway.auth_type",
            f'found "{kind}" without gateway.userlist and without gateway.auth_query.',
            "Set gateway.userlist to a file of users, or gateway.auth_query.",
        )
    if kind == "trust" and remote and not gateway.trust_remote:
        yield Conflict(
            "gateway.host",
            f'found "{gateway.host}", which is not loopback, with gateway.auth_type "trust".',
            'Set gateway.auth_type = "scram-sha-256", or gateway.trust_remote = true.',
        )
    if kind == "plain" and remote and gateway.tls_mode not in _ENCRYPTED:
        yield Conflict(
            "gateway.auth_type",
            'found "plain", which sends passwords as they are, on an address that is not '
            "loopback and does not require TLS.",
            'Set gateway.tls_mode = "require", or gateway.auth_type = "scram-sha-256".',
        )


def _encryption(settings: Settings) -> Iterator[Conflict]:
    gateway = settings.gateway
    mode = gateway.tls_mode
    for name, path in (("tls_cert", gateway.tls_cert), ("tls_key", gateway.tls_key)):
        if mode != "disable" and not path:
            yield Conflict(
                "gateway.tls_mode",
                f'found "{mode}" without gateway.{name}.',
                "Set gateway.tls_cert and gateway.tls_key to PEM files.",
            )
    if mode.startswith("verify-") and not gateway.tls_ca:
        yield Conflict(
            "gateway.tls_mode",
            f'found "{mode}" without gateway.tls_ca.',
            "Set gateway.tls_ca to the authorities that sign clients' certificates.",
        )


def _listening(settings: Settings) -> Iterator[Conflict]:
    gateway = settings.gateway
    if not gateway.host and not gateway.unix_socket_dir:
        yield Conflict(
            "gateway.host",
            "is empty, and so is gateway.unix_socket_dir: nothing would listen.",
            "Set one of the two.",
        )
    if not gateway.host and not gateway.port:
        yield Conflict(
            "gateway.port",
            "found 0; without TCP allowed is 1 to 65535: it names the unix socket.",
            "Give the port that clients will name.",
        )


def _report(settings: Settings) -> Iterator[Conflict]:
    report = settings.report
    if report.daily and not _DAILY.fullmatch(report.daily):
        hint = "Give such as 07:00, or nothing for no daily report."
        yield Conflict("report.daily", "It is no time of day.", hint)
    try:
        zoneinfo.ZoneInfo(report.timezone)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        yield Conflict("report.timezone", "There is no such zone.", "Give such as Europe/Berlin.")
    if report.daily and not report.directory and not report.webhook:
        hint = "Set report.directory or report.webhook."
        yield Conflict("report.daily", "The daily report would go nowhere.", hint)
    if report.webhook:
        words, hint = webhook_conflict(report.webhook, report.webhook_insecure)
        if words:
            yield Conflict("report.webhook", words, hint)


def webhook_conflict(url: str, insecure: bool) -> tuple[str, str]:
    """Why a URL may not be sent reports, and what to do; "" if it may. The URL is a secret."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        parts, host = urlsplit(""), ""
    if parts.scheme not in ("http", "https") or not host:
        return "It is no URL.", "Give https://host/path."
    if parts.scheme == "http" and not is_loopback(host) and not insecure:
        return (
            "It is http to an address that is not loopback: anyone between can read the report.",
            "Use https, or set report.webhook_insecure.",
        )
    return "", ""
