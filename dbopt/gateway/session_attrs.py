"""Which of several servers will do: libpq's target_session_attrs.

A server of version 14 or later says it in its ParameterStatus; an older one is asked.
Source: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-TARGET-SESSION-ATTRS
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

ANY: Final = "any"
READ_WRITE: Final = "read-write"
READ_ONLY: Final = "read-only"
PRIMARY: Final = "primary"
STANDBY: Final = "standby"
PREFER_STANDBY: Final = "prefer-standby"

SESSION_ATTRS: Final = (ANY, READ_WRITE, READ_ONLY, PRIMARY, STANDBY, PREFER_STANDBY)

_SQL: Final = {
    READ_WRITE: b"SHOW transaction_read_only",
    READ_ONLY: b"SHOW transaction_read_only",
    PRIMARY: b"SELECT pg_catalog.pg_is_in_recovery()",
    STANDBY: b"SELECT pg_catalog.pg_is_in_recovery()",
}
_NO: Final = frozenset((b"off", b"f"))

_REPORTED: Final = {
    READ_WRITE: ("default_transaction_read_only", "in_hot_standby"),
    READ_ONLY: ("default_transaction_read_only", "in_hot_standby"),
    PRIMARY: ("in_hot_standby",),
    STANDBY: ("in_hot_standby",),
}
"""The parameters that tell it. A session is read-only where any of its two is on."""


def passes(wanted: str) -> tuple[str, ...]:
    """What to look for in turn among all hosts: any will do where no standby was found."""
    return (STANDBY, ANY) if wanted == PREFER_STANDBY else (wanted,)


def suits(wanted: str, parameters: Mapping[str, str]) -> bool | None:
    """Whether the server that reported these parameters is wanted; None: it must be asked."""
    if wanted == ANY:
        return True
    values = [parameters.get(name) for name in _REPORTED[wanted]]
    if None in values:
        return None
    return _suits(wanted, "on" in values)


def question(wanted: str) -> bytes:
    """The SQL that asks it; `answer_suits` reads its one value."""
    return _SQL[wanted]


def answer_suits(wanted: str, value: bytes | None) -> bool:
    """Whether the server that answered `question` so is wanted."""
    return _suits(wanted, value not in _NO)


def _suits(wanted: str, restricted: bool) -> bool:
    return restricted == (wanted in (READ_ONLY, STANDBY))
