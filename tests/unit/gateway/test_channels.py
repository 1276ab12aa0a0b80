"""Channels: names as the server cuts them, and quoted so that they stay names."""

from __future__ import annotations

import pytest

from dbopt.errors import ProtocolError
from dbopt.gateway.channels import channel_of, clip, listen, unlisten
from dbopt.wire import messages as m


@pytest.mark.parametrize(
    ("name", "client", "server", "expected"),
    [
        (b"x" * 63, "UTF8", "UTF8", b"x" * 63),
        (b"x" * 64, "UTF8", "UTF8", b"x" * 63),
        ("x" + "é" * 31, "UTF8", "UTF8", "x" + "é" * 31),
        ("é" * 32, "UTF8", "UTF8", "é" * 31),
        ("日" * 22, "UTF8", "UTF8", "日" * 21),
        ("é" * 40, "UTF8", "LATIN1", "é" * 40),
        ("é" * 70, "UTF8", "LATIN1", "é" * 63),
        (("é" * 40).encode("latin-1"), "LATIN1", "UTF8", ("é" * 31).encode("latin-1")),
        (("€" * 40).encode("cp1252"), "WIN1252", "UTF8", ("€" * 21).encode("cp1252")),
        (("я" * 40).encode("koi8-r"), "KOI8R", "UTF8", ("я" * 31).encode("koi8-r")),
        ("é" * 32, "SQL_ASCII", "UTF8", "é" * 31),
        ("é" * 32, "SQL_ASCII", "SQL_ASCII", ("é" * 32).encode()[:63]),
        (b"\xff" * 70, "UTF8", "UTF8", b"\xff" * 63),
        (b"\xff" * 70, "EUC_TW", "UTF8", b"\xff" * 63),
    ],
)
def test_cut_as_the_server_cuts(
    name: str | bytes, client: str, server: str, expected: str | bytes
) -> None:
    name, expected = (one.encode() if isinstance(one, str) else one for one in (name, expected))
    assert expected == clip(name, client, server)
    assert expected == clip(expected, client, server)


@pytest.mark.parametrize(
    ("name", "quoted"),
    [(b"a", b'"a"'), (b'a"b', b'"a""b"'), (b"", b'""'), (b'"; DROP x; --', b'"""; DROP x; --"')],
)
def test_quoted(name: bytes, quoted: bytes) -> None:
    assert m.Query(b"LISTEN " + quoted).encode() == listen(name)
    assert m.Query(b"UNLISTEN " + quoted).encode() == unlisten(name)


def test_a_name_holds_no_zero_byte() -> None:
    for make in (listen, unlisten):
        with pytest.raises(ProtocolError):
            make(b"a\0b")


@pytest.mark.parametrize("channel", [b"a", b"", "é ñ".encode()])
def test_channel_of(channel: bytes) -> None:
    for payload in (b"", b"some"):
        assert channel == channel_of(m.NotificationResponse(1 << 25, channel, payload).encode())


@pytest.mark.parametrize("payload", [b"", b"a", b"a\0", b"a\0b", b"a\0b\0c", b"a\0b\0\0"])
def test_notifications_that_cannot_be_read(payload: bytes) -> None:
    message = b"A" + (8 + len(payload)).to_bytes(4) + b"\0\0\0\7" + payload
    with pytest.raises(ProtocolError):
        channel_of(message)
    assert b"" == channel_of(b"A\0\0\0\x0a\0\0\0\7\0\0")
