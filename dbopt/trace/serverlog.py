"""The server's log, cut into messages: stderr, csvlog and jsonlog. PURE.

Only messages with a plan of auto_explain's are given; the rest is passed over as cheaply as can
be. Source: PostgreSQL's documentation, "Error Reporting and Logging".
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

MAX_MESSAGE = 1 << 20
"""Bytes of a message; a longer one is passed over."""
_MARK = b" ms  plan:"
_MAX_PREFIX = 400
_SUCCESS = "00000"
"""auto_explain's SQLSTATE; that of an error, whose text is the client's, is another."""
_CSV_START = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:.]{8,12} [^,]{1,10},")
_NAMED = {"u": "user", "d": "database", "p": "pid"}
_TIME = r"[0-9-]{10} [0-9:.]{8,12} \S{1,10}"
_ESCAPES = {
    "p": r"[0-9]+", "m": _TIME, "t": _TIME, "s": _TIME, "n": r"[0-9.]+", "l": r"[0-9]+",
    "c": r"[0-9a-f.]+", "e": r"\w{5}", "x": r"[0-9]+", "v": r"[0-9/]*", "Q": r"-?[0-9]+",
    "P": r"[0-9]*", "h": r"\S{0,80}?", "r": r"\S{0,80}?", "L": r"\S{0,80}?", "%": "%",
}  # fmt: skip
_FREE = frozenset("auibd")
"""Those that may hold anything: what is between them and the next is in none of them."""
_LEVELS = "LOG|INFO|NOTICE|WARNING|DEBUG[1-5]?|LOGG|DZIENNIK|СООБЩЕНИЕ|ЗАПИСУВАННЯ|日志|日誌|로그"
"""auto_explain.log_level, and LOG as servers translate it. No ERROR, no STATEMENT: theirs is a
text of the client's."""
_ENTRY = re.compile(rf"(?:{_LEVELS}):  (duration: [0-9]+\.[0-9]+ ms  plan:)\Z")
_NOWHERE = re.compile(r"(?!)")
_ESCAPE = re.compile(r"%(-?[0-9]*)([a-zA-Z%])")


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the log. Who it is about is "" or 0 where the log does not say."""

    text: str
    database: str = ""
    user: str = ""
    pid: int = 0


class Splitter(Protocol):
    """Takes the log as it grows."""

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that are whole now."""
        ...

    def rest(self) -> Iterator[Message]:
        """The last message, once nothing has come for a while: no next one shows its end."""
        ...


def splitter(name: str, log_line_prefix: str = "") -> Splitter:
    """What reads a file of this name: .json, .csv, or anything else as stderr."""
    if name.endswith(".json"):
        return JsonLog()
    return CsvLog() if name.endswith(".csv") else StderrLog(log_line_prefix)


class _Lines:
    """Whole lines; of what is longer than a message may be, nothing."""

    def __init__(self) -> None:
        self._partial = b""
        self._skipping = False

    def of(self, data: bytes) -> Iterator[bytes]:
        *whole, self._partial = (self._partial + data).split(b"\n")
        if whole and self._skipping:
            whole, self._skipping = whole[1:], False
        if len(self._partial) > MAX_MESSAGE:
            self._partial, self._skipping = b"", True
        yield from whole


class JsonLog:
    """jsonlog (15 and later): an object a line."""

    def __init__(self) -> None:
        self._lines = _Lines()

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that are whole now."""
        for line in self._lines.of(data):
            if _MARK in line and len(line) <= MAX_MESSAGE:
                yield from _of_json(line)

    def rest(self) -> Iterator[Message]:
        """Nothing: a message is a line."""
        return iter(())


def _of_json(line: bytes) -> Iterator[Message]:
    try:
        entry = json.loads(line)
        text, pid = entry["message"], entry.get("pid", 0)
        if entry.get("state_code", _SUCCESS) != _SUCCESS:
            return
        yield Message(str(text), str(entry.get("dbname", "")), str(entry.get("user", "")), int(pid))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        return


class CsvLog:
    """csvlog: a record may have line breaks in its quotes."""

    def __init__(self) -> None:
        self._lines = _Lines()
        self._record: list[bytes] = []
        self._size = 0
        self._open = False

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that are whole now."""
        for line in self._lines.of(data):
            # Where reading began within a record, quotes are miscounted until the next one begins.
            if self._open and _CSV_START.match(line):
                self._begin()
            if not self._open and not _CSV_START.match(line):
                continue
            self._open ^= bool(line.count(b'"') % 2)
            self._size += len(line) + 1
            if self._size <= MAX_MESSAGE:
                self._record.append(line)
            if not self._open:
                yield from self._whole()

    def rest(self) -> Iterator[Message]:
        """Nothing: a record shows its end."""
        return iter(())

    def _begin(self) -> None:
        self._record, self._size, self._open = [], 0, False

    def _whole(self) -> Iterator[Message]:
        record, size = b"\n".join(self._record), self._size
        self._begin()
        if size > MAX_MESSAGE or _MARK not in record:
            return
        try:
            (row,) = csv.reader([record.decode("utf-8", "replace")], strict=True)
            if row[12] not in ("", _SUCCESS):
                return
            yield Message(row[13], row[2], row[1], int(row[3]))
        except (ValueError, IndexError, csv.Error):
            return


class StderrLog:
    """stderr: a message begins after the prefix; its further lines begin with a tab."""

    def __init__(self, log_line_prefix: str = "") -> None:
        self._lines = _Lines()
        self._message: list[bytes] = []
        self._size = 0
        self._prefix = prefix_pattern(log_line_prefix)
        self._colons = log_line_prefix.count(":  ")

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that are whole now."""
        for line in self._lines.of(data):
            if not line.startswith(b"\t"):
                yield from self.rest()
                self._message = [line] if _MARK in line else []
                self._size = len(line)
            elif self._message:
                self._size += len(line)
                if self._size > MAX_MESSAGE:
                    self._message = []
                else:
                    self._message.append(line[1:])

    def rest(self) -> Iterator[Message]:
        """The message that was begun."""
        message, self._message = self._message, []
        if not message:
            return
        first = message[0].decode("utf-8", "replace").removesuffix("\r")
        entry = _ENTRY.search(first[-_MAX_PREFIX:])
        head = first.removesuffix(entry[0]) if entry else ""
        # Whoever names an application or writes a statement must not begin an entry with it.
        if entry is None or head.count(":  ") != self._colons:
            return
        found = self._prefix.fullmatch(head) if len(head) <= _MAX_PREFIX else None
        who = found.groupdict() if found else {}
        text = b"\n".join([entry[1].encode(), *message[1:]]).decode("utf-8", "replace")
        yield Message(
            text, who.get("database") or "", who.get("user") or "", int(who.get("pid") or 0)
        )


def prefix_pattern(log_line_prefix: str) -> re.Pattern[str]:
    """What finds user, database and pid in the prefix of a line, the whole of it.

    It matches nothing where no character is between two of what may be any text.
    """
    # %q only says where the prefix of others ends.
    rest = re.sub(r"%(-?[0-9]*)(%|q)", lambda m: m[0] if m[2] == "%" else "", log_line_prefix)
    rest = rest.rstrip()
    escapes = list(_ESCAPE.finditer(rest))
    parts: list[str] = [re.escape(rest[: escapes[0].start()] if escapes else rest)]
    seen: set[str] = set()
    for place, found in enumerate(escapes):
        last = place + 1 == len(escapes)
        after = rest[found.end() : len(rest) if last else escapes[place + 1].start()]
        letter = found[2]
        if not after and not last and letter in _FREE:
            return _NOWHERE
        pattern = _any_but(after) if letter in _FREE else _ESCAPES.get(letter, "")
        if letter in _NAMED and letter not in seen:
            seen.add(letter)
            pattern = f"(?P<{_NAMED[letter]}>{pattern})"
        parts.append(f" *{pattern} *" if found[1] else pattern)
        parts.append(re.escape(after))
    return re.compile("".join(parts) + " *")


def _any_but(after: str) -> str:
    return f"[^{re.escape(after[0])}]{{0,64}}?" if after else ".{0,64}?"
