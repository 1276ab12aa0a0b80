"""Channels of LISTEN and NOTIFY: their names as the server knows them, and the messages.

Pure. A name is bytes in the client's encoding, folded and unquoted; a notification comes back
in the same encoding, because the listener connects with its clients' own.
"""

from __future__ import annotations

import codecs
from typing import Final

from dbopt.errors import ProtocolError
from dbopt.wire import encode

MAX_NAME: Final = 63
"""PostgreSQL's NAMEDATALEN - 1: bytes of a channel's name, in the server's encoding."""
_HEADER: Final = 9
"""Type, length and process id: what stands before the channel."""
_LONGEST: Final = 4
"""Bytes that one byte may become in another encoding, at most."""


def clip(channel: bytes, client: str, server: str) -> bytes:
    """The name cut where PostgreSQL cuts an identifier: never within a character.

    `client` and `server` are encodings by PostgreSQL's names. The server cuts what it has
    converted, so a name that is short in the client's encoding may be too long there. A
    notification has the name so cut. Source: truncate_identifier (parser/scansup.c).
    """
    if len(channel) * _LONGEST <= MAX_NAME or channel.isascii():
        return channel[:MAX_NAME]
    if client == "SQL_ASCII":  # bytes that are not converted
        client = server
    try:
        ours, theirs = codecs.lookup(_codec(client)), codecs.lookup(_codec(server))
        kept = theirs.encode(ours.decode(channel)[0])[0]
        if len(kept) <= MAX_NAME:
            return channel
        return ours.encode(theirs.decode(kept[:MAX_NAME], "ignore")[0])[0]
    except (LookupError, UnicodeError):  # bytes that are no text: each is a character
        return channel[:MAX_NAME]


def _codec(encoding: str) -> str:
    """Python's name of one of PostgreSQL's encodings, where it has one."""
    return encoding.replace("WIN", "cp").replace("KOI8", "koi8_")


def listen(channel: bytes) -> bytes:
    """A Query that listens. Raises ProtocolError for a zero byte in the name."""
    return encode.query(b"LISTEN " + _quoted(channel))


def unlisten(channel: bytes) -> bytes:
    """A Query that ends it. Raises ProtocolError for a zero byte in the name."""
    return encode.query(b"UNLISTEN " + _quoted(channel))


def _quoted(name: bytes) -> bytes:
    """The name as an identifier. In no encoding of PostgreSQL is a quote half of a character."""
    return b'"' + name.replace(b'"', b'""') + b'"'


def channel_of(notification: bytes) -> bytes:
    """The channel of a whole NotificationResponse.

    Raises ProtocolError where it is not a process id and two strings, and nothing else.
    """
    end = notification.find(b"\0", _HEADER)
    if end < 0 or notification.find(b"\0", end + 1) != len(notification) - 1:
        raise ProtocolError("The server sent a NotificationResponse that cannot be read.")
    return notification[_HEADER:end]
