"""TLS towards the server: what libpq's options ask for, and the one context that all share.

Loading a bundle of authorities takes milliseconds and megabytes, so a context is made once for
each set of options and not for each connection (PgBouncer #1299); it is made anew when one of
its files changes. Source: https://www.postgresql.org/docs/current/libpq-ssl.html
"""

from __future__ import annotations

import os
import ssl
import stat
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from dbopt.errors import ConfigError, ConnectError, FeatureNotSupported

log = structlog.get_logger("dbopt.gateway")

ALPN: Final = "postgresql"
SYSTEM: Final = "system"
MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_VERSIONS: Final = {
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}
_MOST_CONTEXTS: Final = 100
"""A reload may bring other options; above this all are forgotten and made again at need."""

Stamp = tuple[tuple[int, int, int] | None, ...]
"""Of each file: time of change, size and inode; None where it is not there."""


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """libpq's ssl… options. A path that is "" means libpq's default place, if a file is there."""

    mode: str = "prefer"
    direct: bool = False
    cert: str = ""
    key: str = ""
    password: str = field(default="", repr=False)
    root: str = ""
    crl: str = ""
    crl_dir: str = ""
    min_version: str = "TLSv1.2"
    max_version: str = ""
    sni: bool = True
    show_cert: bool = True

    @property
    def required(self) -> bool:
        """Whether a connection without TLS will not do."""
        return self.mode in MODES[3:]

    @property
    def root_path(self) -> str:
        """The file of trusted authorities, which need not be there; "system" for those of the
        operating system.
        """
        return self.root or _default("root.crt")

    @property
    def paths(self) -> tuple[str, ...]:
        """Every file that the context is made of, there or not."""
        crls = self.crl or _default("root.crl"), self.crl_dir
        cert = self.cert or _default("postgresql.crt"), self.key or _default("postgresql.key")
        return (self.root_path, *crls, *cert)


def tls_options(conninfo: Mapping[str, str]) -> TlsOptions:
    """What a conninfo says of TLS.

    Raises ConfigError for a value that libpq refuses too, FeatureNotSupported for GSSAPI and
    for sslcertmode=require.
    """
    root = conninfo.get("sslrootcert", "")
    weakest = "verify-full" if root == SYSTEM else "prefer"
    options = TlsOptions(
        mode=choice(conninfo, "sslmode", MODES, weakest),
        direct=choice(conninfo, "sslnegotiation", ("postgres", "direct")) == "direct",
        cert=conninfo.get("sslcert", ""),
        key=conninfo.get("sslkey", ""),
        password=conninfo.get("sslpassword", ""),
        root=root,
        crl=conninfo.get("sslcrl", ""),
        crl_dir=conninfo.get("sslcrldir", ""),
        min_version=choice(conninfo, "ssl_min_protocol_version", _VERSIONS, "TLSv1.2"),
        max_version=choice(conninfo, "ssl_max_protocol_version", ("", *_VERSIONS)),
        sni=choice(conninfo, "sslsni", ("1", "0")) == "1",
        show_cert=choice(conninfo, "sslcertmode", ("allow", "disable", "require")) != "disable",
    )
    _check(options, conninfo)
    return options


def _check(options: TlsOptions, conninfo: Mapping[str, str]) -> None:
    if options.root == SYSTEM and options.mode != "verify-full":
        raise ConfigError(
            f"sslmode={options.mode} is too weak for sslrootcert=system: anyone gets a certificate "
            "from some authority that the system trusts.",
            hint="Use sslmode=verify-full, or name your own authority in sslrootcert.",
        )
    if options.direct and not options.required:
        raise ConfigError(
            f"sslnegotiation=direct cannot be had with sslmode={options.mode}.",
            hint="Use sslmode=require, verify-ca or verify-full.",
        )
    versions = list(_VERSIONS)
    if options.max_version and versions.index(options.max_version) < versions.index(
        options.min_version
    ):
        raise ConfigError("ssl_max_protocol_version is lower than ssl_min_protocol_version.")
    if conninfo.get("sslcertmode") == "require" or conninfo.get("gssencmode") == "require":
        raise FeatureNotSupported(
            "The gateway can do neither sslcertmode=require nor gssencmode=require.",
            hint="Leave it out of server.dsn; sslmode=require encrypts.",
        )


def choice(
    conninfo: Mapping[str, str], key: str, allowed: Mapping[str, Any] | tuple[str, ...],
    default: str | None = None,
) -> str:  # fmt: skip
    """The value of `key`, or the default (the first that is allowed). Raises ConfigError."""
    value = conninfo.get(key) or (next(iter(allowed)) if default is None else default)
    if value not in allowed:
        names = ", ".join(name for name in allowed if name)
        raise ConfigError(f"server.dsn: {key}={value!r} is not one of {names}.")
    return value


class Contexts:
    """The contexts in use, by their options."""

    def __init__(self) -> None:
        self._made: dict[TlsOptions, tuple[Stamp, ssl.SSLContext]] = {}

    def get(self, options: TlsOptions) -> ssl.SSLContext:
        """The context of these options, made anew if a file has changed.

        Where the new files are no good (half of a certificate and its key is replaced, say) the
        old context stays in use and a warning says why. Raises ConfigError where there is none.
        """
        stamp = tuple(map(_stamp, options.paths))
        found = self._made.get(options)
        if found is not None and found[0] == stamp:
            return found[1]
        try:
            context = make_context(options)
        except ConfigError as error:
            if found is None:
                raise
            log.warning("TLS goes on with the files read before", error=str(error))
            context = found[1]
        if len(self._made) >= _MOST_CONTEXTS:
            self._made.clear()
        self._made[options] = (stamp, context)
        return context


CONTEXTS: Final = Contexts()
"""The contexts of this worker."""


def make_context(options: TlsOptions) -> ssl.SSLContext:
    """A context of these options, from their files. Raises ConfigError, which names the file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Whose host name goes unsaid (sslsni=0) is checked after the handshake: see `check_peer`.
    context.check_hostname = options.mode == "verify-full" and options.sni
    with warnings.catch_warnings():
        # TLS below 1.2 is only spoken where ssl_min_protocol_version says so.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = _VERSIONS[options.min_version]
        if options.max_version:
            context.maximum_version = _VERSIONS[options.max_version]
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols([ALPN])
    _trust(context, options)
    if options.show_cert:
        _show(context, options)
    return context


def _trust(context: ssl.SSLContext, options: TlsOptions) -> None:
    """Load authorities and revocation lists. As in libpq, whoever has a file of authorities
    has every mode verify by it.
    """
    root = options.root_path
    if root == SYSTEM:
        context.load_default_certs()
    elif os.path.exists(root):
        _load("sslrootcert", root, context.load_verify_locations, root)
    elif options.mode.startswith("verify"):
        raise ConfigError(
            f"sslmode={options.mode} needs trusted authorities, and there is no file {root}.",
            hint="Name the server's authority in sslrootcert, or use sslrootcert=system.",
        )
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return
    _revoke(context, options)


def _revoke(context: ssl.SSLContext, options: TlsOptions) -> None:
    crl = options.crl or _existing(_default("root.crl"))
    if crl:
        _load("sslcrl", crl, context.load_verify_locations, crl)
    if options.crl_dir:
        _load("sslcrldir", options.crl_dir, context.load_verify_locations, None, options.crl_dir)
    if crl or options.crl_dir:
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN


def _show(context: ssl.SSLContext, options: TlsOptions) -> None:
    """Load our own certificate, if there is one."""
    cert = options.cert or _existing(_default("postgresql.crt"))
    if not cert:
        return
    key = options.key or _default("postgresql.key")
    _check_key(key)
    # Without a password OpenSSL would ask for one on the terminal.
    _load("sslcert", cert, context.load_cert_chain, cert, key, options.password or "")


def _check_key(path: str) -> None:
    """libpq's rule: the key is ours alone, or root's and at most its group's."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise ConfigError(f"sslkey: {path}: {error.strerror}.") from None
    shared = stat.S_IRWXO | stat.S_IXGRP | stat.S_IWGRP
    if status.st_uid != 0:
        shared |= stat.S_IRGRP
    if status.st_mode & shared:
        raise ConfigError(f"sslkey: others can use {path}.", hint=f"chmod 600 {path}")


def _load(key: str, path: str, load: Any, *arguments: Any) -> None:
    try:
        load(*arguments)
    except ssl.SSLError as error:
        reason = (error.reason or "not a usable PEM file").lower().replace("_", " ")
        raise ConfigError(
            f"{key}: {path} cannot be used: {reason}.",
            hint="Is it PEM, does the key belong to the certificate, and is sslpassword right?",
        ) from None
    except OSError as error:
        raise ConfigError(f"{key}: {path}: {error.strerror}.") from None


def check_peer(session: ssl.SSLObject, options: TlsOptions, host: str, where: str) -> None:
    """What the handshake itself has not checked. Raises ConnectError."""
    if options.direct and session.selected_alpn_protocol() != ALPN:
        raise ConnectError(
            f"PostgreSQL at {where} did not agree on a protocol (ALPN), as direct TLS requires.",
            hint="sslnegotiation=direct needs PostgreSQL 17 or later.",
        )
    if options.mode == "verify-full" and not options.sni:
        shown: dict[str, Any] = session.getpeercert() or {}
        names = [str(name) for _, name in shown.get("subjectAltName", ())]
        if not any(_name_fits(name, host) for name in names):
            raise NoTls(
                f"PostgreSQL at {where} shows a certificate that is not of this host name.",
                hint="Somebody may stand in between.",
            )


def _name_fits(name: str, host: str) -> bool:
    """RFC 6125: alike but for case, and an asterisk stands for the whole first label."""
    name, host = name.lower(), host.lower()
    if name.startswith("*."):
        label, _, rest = host.partition(".")
        return bool(label) and rest == name[2:] and "." in rest
    return name == host


def tls_name(session: ssl.SSLObject | None) -> str:
    """Such as "TLSv1.3/TLS_AES_256_GCM_SHA384"; "" without TLS."""
    if session is None:
        return ""
    cipher = session.cipher()
    return f"{session.version()}/{cipher[0] if cipher else ''}"


class NoTls(ConnectError):
    """The server gives no TLS, or none that we take; sslmode=prefer goes on without."""


def tls_failure(where: str, error: Exception) -> NoTls:
    """What to say of a handshake that failed. `where` is such as str(Target)."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return NoTls(
            f"PostgreSQL at {where} shows a certificate that is not trusted: "
            f"{error.verify_message}.",
            hint="Check sslrootcert, sslcrl and the host name; somebody may stand in between.",
        )
    reason = getattr(error, "reason", None) or str(error) or "it closed the connection"
    return NoTls(
        f"TLS with PostgreSQL at {where} failed: {str(reason).lower().replace('_', ' ')}.",
        hint="Check ssl_min_protocol_version and what the server's log says.",
    )


def _default(name: str) -> str:
    return os.path.expanduser(f"~/.postgresql/{name}")


def _existing(path: str) -> str:
    return path if os.path.exists(path) else ""


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
