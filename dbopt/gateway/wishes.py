"""What a client's startup packet asks of its session, in a form that the server takes as it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from dbopt.errors import ProtocolError
from dbopt.gateway.session import requested
from dbopt.wire import buffer

APPLICATION_NAME: Final = "application_name"
MAX_NAME: Final = 63
"""PostgreSQL's NAMEDATALEN - 1: bytes of an application_name."""

_UNPRINTABLE = re.compile(rb"[^\x20-\x7e]")


def wishes(parameters: Mapping[str, str], host: str = "") -> dict[str, str]:
    """The settings that a startup packet asks for, by canonical name.

    `host`, if given, is added to the application_name, as PgBouncer's
    application_name_add_host does. Raises ProtocolError for what is no setting, and for a
    value that is not UTF-8.
    """
    return dict(_wishes(tuple(parameters.items()), host))


@lru_cache(maxsize=128)  # of a fleet of clients, many ask for the same
def _wishes(parameters: tuple[tuple[str, str], ...], host: str) -> dict[str, str]:
    found = requested(dict(parameters))
    if host or APPLICATION_NAME in found:
        found[APPLICATION_NAME] = _application_name(found.get(APPLICATION_NAME, ""), host)
    for name, value in found.items():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ProtocolError(f"The value of the setting {name} is not UTF-8.") from None
    return found


def place(peer: Any) -> str:
    """Where a client is, from its transport's `peername`: host:port, or "unix"."""
    if not isinstance(peer, tuple):
        return "unix"
    host, port = peer[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _application_name(name: str, host: str) -> str:
    """The name as PostgreSQL keeps it: what is not printable ASCII as \\xHH, and clipped.

    Source: pg_clean_ascii (common/string.c).
    """
    suffix = f" - {host}"[:MAX_NAME] if host else ""
    data = buffer.encode(name)[:MAX_NAME] or (b"app" if host else b"")
    clean = _UNPRINTABLE.sub(lambda found: b"\\x%02x" % found[0][0], data).decode("ascii")
    return clean[: MAX_NAME - len(suffix)] + suffix
