"""Session settings: what a client set, brought to whichever backend it is given.

A backend is compared with its next client at checkout and sent only what differs. Values go
through set_config() because SET would read a list such as search_path as one name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from dbopt.errors import ProtocolError
from dbopt.wire import encode

CANONICAL: Final = {
    name.lower(): name
    for name in (
        "application_name",
        "client_encoding",
        "DateStyle",
        "default_transaction_read_only",
        "IntervalStyle",
        "search_path",
        "standard_conforming_strings",
        "TimeZone",
    )
}
"""Settings that the server reports and a session may set, by lower-case name."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*(?:\.[A-Za-z_][A-Za-z0-9_$]*)?\Z")
_OPTION_WORD = re.compile(r"((?:[^\s\\]|\\.)+)", re.DOTALL)
_NOT_SETTINGS = frozenset(("user", "database", "options", "replication"))


def requested(parameters: Mapping[str, str]) -> dict[str, str]:
    """The settings that a startup packet asks for, `options` included, by canonical name.

    Raises ProtocolError on an option that is no setting.
    """
    found = parse_options(parameters.get("options", ""))
    found.update(
        (name, value)
        for name, value in parameters.items()
        if name not in _NOT_SETTINGS and not name.startswith("_pq_.")
    )
    for name in found:
        if not _NAME.match(name):
            raise ProtocolError(
                f"The startup packet names a setting {name[:63]!r}, which none has."
            )
    return {CANONICAL.get(name.lower(), name.lower()): value for name, value in found.items()}


def parse_options(text: str) -> dict[str, str]:
    """`-c name=value`, `-cname=value` and `--name=value`, with backslash escapes (libpq's)."""
    words = [re.sub(r"\\(.)", r"\1", word, flags=re.DOTALL) for word in _OPTION_WORD.findall(text)]
    found: dict[str, str] = {}
    position = 0
    while position < len(words):
        word = words[position]
        if word == "-c":
            position += 1
            word = words[position] if position < len(words) else ""
        elif word.startswith(("--", "-c")):
            word = word[2:]
        else:
            raise ProtocolError(
                "The startup packet's options hold a switch that is no setting.",
                hint="Only -c name=value and --name=value pass through the gateway.",
            )
        name, equals, value = word.partition("=")
        if not equals:
            raise ProtocolError("The startup packet's options hold a setting without a value.")
        found[name.replace("-", "_")] = value
        position += 1
    return found


def tracked(parameters: Mapping[str, str]) -> dict[str, str]:
    """Of what a server reported, the settings that a session may set."""
    return {name: value for name, value in parameters.items() if name.lower() in CANONICAL}


def reported(settings: Mapping[str, str], parameters: Mapping[str, str]) -> dict[str, str]:
    """What is still known of a session after a RESET: of the settings, those the server reports."""
    return {name: value for name, value in settings.items() if name in parameters}


def after_reset(
    changed: Mapping[str, str], defaults: Mapping[str, str], startup: Mapping[str, str]
) -> dict[str, str]:
    """What a client has after its RESET, which led to what the backend began with.

    The client began with its own startup settings, so it gets those in their place.
    """
    return {
        name: startup.get(name, value) if value == defaults.get(name) else value
        for name, value in changed.items()
    }


def change(current: Mapping[str, str], wanted: Mapping[str, str]) -> bytes:
    """The Query that takes a session from `current` to `wanted` settings; b"" for none."""
    resets = [f"RESET {_identifier(name)}" for name in current if name not in wanted]
    sets = [
        f"pg_catalog.set_config({literal(name)},{literal(value)},false)"
        for name, value in wanted.items()
        if current.get(name) != value
    ]
    statements = resets + (["SELECT " + ",".join(sets)] if sets else [])
    return encode.query(";".join(statements).encode()) if statements else b""


def literal(text: str) -> str:
    """A constant that reads alike whatever the session's settings are."""
    # E'' reads alike whatever standard_conforming_strings is in the session, and plain ASCII
    # whatever its client_encoding is: in some, a backslash may be half of a character.
    return "E'" + "".join(map(_escaped, text)) + "'"


def _escaped(character: str) -> str:
    code = ord(character)
    if character in "\\'":
        return character * 2
    if code < 0x80:
        return character
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"  # a byte that is not UTF-8, see buffer.decode
    return f"\\U{code:08x}"


def _identifier(name: str) -> str:
    return ".".join(f'"{part}"' for part in name.split("."))
