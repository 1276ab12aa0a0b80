"""passfile: libpq's password file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dbopt.gateway.passfile import Entry, default_path, find

ENTRY = Entry(("db",), 5432, "shop", "ann")


def look(tmp_path: Path, content: str | bytes, entry: Entry = ENTRY, mode: int = 0o600) -> str:
    path = tmp_path / "pass"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)
    return find(str(path), entry)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("db:5432:shop:ann:right", "right"),
        ("db:5432:shop:ann:right\n", "right"),
        ("db:5432:shop:ann:right\r\n", "right"),
        ("*:*:*:*:any", "any"),
        ("db:5433:shop:ann:x\ndb:5432:shop:ann:right\n*:*:*:*:any\n", "right"),
        ("#db:5432:shop:ann:x\n", ""),
        ("other:*:*:*:x", ""),
        ("db:*:other:*:x", ""),
        ("db:*:*:other:x", ""),
        ("*:54*:*:*:x", ""),
        ("db:5432:shop:ann", ""),
        ("db:5432:shop:ann:", ""),
        ("db:5432:shop:ann:a\\:b\\\\c", "a:b\\c"),
        ("db:5432:shop:ann:p:rest", "p"),
        ("db:5432:shop:ann: with spaces ", " with spaces "),
        ("db:5432:shop:ann:s\u00e9cret", "s\u00e9cret"),
        ("", ""),
        (b"\xff\xfe:\0::::\n*:*:*:*:any", "any"),
    ],
)
def test_lines(tmp_path: Path, content: str | bytes, expected: str) -> None:
    assert expected == look(tmp_path, content)


@pytest.mark.parametrize(
    ("line", "entry"),
    [
        ("a\\:b:*:*:*:x", Entry(("a:b",), 1, "d", "u")),
        ("*:*:a\\\\b:*:x", Entry(("h",), 1, "a\\b", "u")),
        ("*:*:*:\\*:x", Entry(("h",), 1, "d", "*")),
        ("localhost:*:*:*:x", Entry(("/run/pg", "localhost"), 1, "d", "u")),
        ("\\:\\:1:*:*:*:x", Entry(("::1",), 1, "d", "u")),
    ],
)
def test_escapes_in_names(tmp_path: Path, line: str, entry: Entry) -> None:
    assert "x" == look(tmp_path, line, entry)


def test_an_escaped_asterisk_is_a_name(tmp_path: Path) -> None:
    assert "" == look(tmp_path, "*:*:*:\\*:x", Entry(("h",), 1, "d", "anybody"))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_file_that_others_can_use(tmp_path: Path, mode: int) -> None:
    assert "" == look(tmp_path, "*:*:*:*:x", mode=mode)


def test_what_is_no_file(tmp_path: Path) -> None:
    assert "" == find(str(tmp_path), ENTRY)
    assert "" == find(str(tmp_path / "missing"), ENTRY)
    assert "" == find("nul\0byte", ENTRY)
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert "" == find(str(tmp_path / "pipe"), ENTRY)


def test_the_default_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/x")
    assert "/home/x/.pgpass" == default_path()
