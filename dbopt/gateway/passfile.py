r"""libpq's password file: lines of host:port:database:user:password.

A field may be `*`, which fits anything; `\:` and `\\` stand for a colon and a backslash; a line
that starts with # is a comment. A file that others may read is not used, as in libpq.
Source: https://www.postgresql.org/docs/current/libpq-pgpass.html
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from typing import Final, NamedTuple

import structlog

log = structlog.get_logger("dbopt.gateway")

MAX_SIZE: Final = 1 << 20
"""Bytes of the file that are read; it is read whenever a backend connects and has no password."""

LOCALHOST: Final = "localhost"
"""What the file calls a unix socket in the default directory."""

_FIELD: Final = r"((?:[^\\:]|\\.)*)"
_LINE: Final = re.compile(":".join([_FIELD] * 5))
_ESCAPE: Final = re.compile(r"\\(.)")


class Entry(NamedTuple):
    """Whose password is wanted. `hosts` are the names that a line may call the host by."""

    hosts: tuple[str, ...]
    port: int
    database: str
    user: str


def default_path() -> str:
    """~/.pgpass."""
    return os.path.expanduser("~/.pgpass")


def find(path: str, entry: Entry) -> str:
    """The password of the first line that fits; "" for none, or where the file is not usable."""
    content = _read(path)
    for line in content.split("\n"):
        match = _LINE.match(line.rstrip("\r"))
        if match is not None and not line.startswith("#") and _fits(match.groups(), entry):
            return _unescaped(match[5])
    return ""


def _read(path: str) -> str:
    """The file's text; "" where there is none, or where libpq would not use it either."""
    try:
        with open(path, "rb", opener=_opener) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                log.warning("the password file is not a plain file", path=path)
            elif status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                log.warning("others can use the password file; chmod 600 it", path=path)
            else:
                return file.read(MAX_SIZE).decode("utf-8", "surrogateescape")
    except (OSError, ValueError):
        pass  # libpq, too, says nothing of a file that is not there
    return ""


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a pipe without a writer would block the loop


def _fits(fields: Sequence[str], entry: Entry) -> bool:
    host, port, database, user = fields[:4]
    return (
        (host == "*" or _unescaped(host) in entry.hosts)
        and port in ("*", str(entry.port))
        and (database == "*" or _unescaped(database) == entry.database)
        and (user == "*" or _unescaped(user) == entry.user)
    )


def _unescaped(field: str) -> str:
    return _ESCAPE.sub(r"\1", field)
