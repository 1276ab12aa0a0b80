"""A model of PostgreSQL's side of the protocol: what it answers to what, and nothing else.

It knows a few "statements" by name, and keeps to the rules that a pooler depends on: the order
of replies, the skipping up to Sync after an error, COPY's own mode, named and unnamed things.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from dbopt.gateway.naming import REFUSED
from dbopt.wire import encode
from dbopt.wire import messages as m
from dbopt.wire.scan import messages as scan

ROW = m.DataRow((b"1",)).encode()
COLUMNS = m.RowDescription(()).encode()
COPY_IN = b"G\0\0\0\7\0\0\0"
VALUE = b"V\0\0\0\x08\xff\xff\xff\xff"
DONE = b"done"
"""Of a portal: it has run, and cannot once more."""
_SET_CONFIG = re.compile(rb"set_config\(E'TimeZone',E'(\w+)'")


class Fails(Exception):
    """The statement fails."""


class ModelServer:
    """Feed `receive`; take the replies from `out`. `zone` is its one reported setting."""

    def __init__(self, zone: str) -> None:
        self.out = bytearray()
        self.zone = zone
        self.statements: dict[bytes, bytes] = {}
        self._reported = zone
        self._portals: dict[bytes, bytes] = {}
        self._status = b"I"
        self._skipping = False
        self._copying = b""  # the type of the message that began it
        self._copied = 0
        self._rest = b""
        self._handlers: dict[int, Callable[[bytes], None]] = {
            ord("Q"): self._query, ord("P"): self._parse, ord("B"): self._bind,
            ord("D"): self._describe, ord("E"): self._execute, ord("C"): self._close,
            ord("F"): self._function,
        }  # fmt: skip

    def receive(self, data: bytes) -> None:
        data = self._rest + data
        position = 0
        for kind, start, end in scan(data):
            self._message(kind, data[start + 5 : end])
            position = end
        self._rest = data[position:]

    def _message(self, kind: int, payload: bytes) -> None:
        if self._copying:
            self._in_copy(kind, payload)
        elif kind == ord("S"):
            self._skipping = False
            self._ready()
        elif kind in self._handlers and not self._skipping:
            try:
                self._handlers[kind](payload)
            except Fails as failure:
                self._fail(kind, str(failure))

    def _fail(self, kind: int, sqlstate: str) -> None:
        self.out += encode.error_fields("ERROR", sqlstate, "it failed")
        self._status = b"E" if self._status != b"I" else b"I"
        if kind in b"QF":
            self._ready()
        else:
            self._skipping = True

    def _ready(self) -> None:
        if self._status == b"I":
            self._portals.clear()
        if self.zone != self._reported:
            self.out += encode.parameter_status("TimeZone", self.zone)
            self._reported = self.zone
        self.out += encode.ready_for_query(self._status)

    def _query(self, payload: bytes) -> None:
        self.statements.pop(b"", None)
        for sql in payload[:-1].split(b";"):
            if found := _SET_CONFIG.search(sql):
                self.zone = found[1].decode()
                sql = b"select"
            if sql == b"copy":
                self._begin_copy(b"Q")
                return
            self._run(sql, columns=True)
        self._ready()

    def _run(self, sql: bytes, columns: bool = False, limit: int = 0) -> None:
        word, _, rest = sql.partition(b" ")
        word = word.lower()
        if word == b"error" or sql == REFUSED:
            raise Fails("22012")
        if not sql:
            self.out += m.EmptyQueryResponse().encode()
            return
        if word == b"begin":
            self._status = b"T"
        elif word in (b"commit", b"rollback"):
            self._status = b"I"
        elif word == b"set":
            self.zone = rest.rpartition(b" ")[2].decode()
        elif word == b"prepare":
            self._prepare(rest)
        elif word == b"execute":
            if rest not in self.statements:
                raise Fails("26000")
            self._run(self.statements[rest], columns, limit)
            return
        elif sql == b"deallocate all":
            self.statements.clear()
        elif word == b"deallocate" and self.statements.pop(rest, None) is None:
            raise Fails("26000")
        elif word == b"select":
            self.out += (COLUMNS if columns else b"") + ROW
            if limit:
                self.out += m.PortalSuspended().encode()
                return
        tag = b"SELECT 1" if word == b"select" else word.upper()
        self.out += m.CommandComplete(tag).encode()

    def _prepare(self, rest: bytes) -> None:
        name, _, sql = rest.partition(b" as ")
        if name in self.statements:
            raise Fails("42P05")
        self.statements[name] = sql

    def _parse(self, payload: bytes) -> None:
        parse = m.Parse.parse(payload)
        if not parse.name:
            self.statements.pop(b"", None)
        if parse.sql in (b"bad", REFUSED):
            raise Fails("42601")
        if parse.name and parse.name in self.statements:
            raise Fails("42P05")
        self.statements[parse.name] = parse.sql
        self.out += m.ParseComplete().encode()

    def _bind(self, payload: bytes) -> None:
        bind = m.Bind.parse(payload)
        if bind.statement not in self.statements or bind.values == (b"bad",):
            raise Fails("26000")
        self._portals[bind.portal] = self.statements[bind.statement]
        self.out += m.BindComplete().encode()

    def _describe(self, payload: bytes) -> None:
        describe = m.Describe.parse(payload)
        known = self.statements if describe.kind == ord("S") else self._portals
        if describe.name not in known:
            raise Fails("26000")
        self.out += m.ParameterDescription(()).encode() if describe.kind == ord("S") else b""
        self.out += COLUMNS if known[describe.name] == b"select" else m.NoData().encode()

    def _execute(self, payload: bytes) -> None:
        execute = m.Execute.parse(payload)
        if execute.portal not in self._portals:
            raise Fails("34000")
        sql = self._portals[execute.portal]
        if sql == DONE:
            raise Fails("55000")
        if sql == b"copy":
            self._portals[execute.portal] = DONE
            self._begin_copy(b"E")
        else:
            self._run(sql, limit=execute.max_rows)
            if sql and sql != b"select" and execute.portal in self._portals:
                self._portals[execute.portal] = DONE

    def _close(self, payload: bytes) -> None:
        close = m.Close.parse(payload)
        (self.statements if close.kind == ord("S") else self._portals).pop(close.name, None)
        self.out += m.CloseComplete().encode()

    def _function(self, payload: bytes) -> None:
        if not m.FunctionCall.parse(payload).oid:
            raise Fails("42883")
        self.out += VALUE
        self._ready()

    def _begin_copy(self, by: bytes) -> None:
        self._copying, self._copied = by, 0
        self.out += COPY_IN

    def _in_copy(self, kind: int, payload: bytes) -> None:
        by = self._copying
        if kind in b"SH":
            return
        if kind == ord("d") and payload != b"bad":
            self._copied += 1
            return
        self._copying = b""
        if kind == ord("c"):
            self.out += m.CommandComplete(b"COPY %d" % self._copied).encode()
            if by == b"Q":
                self._ready()
        elif kind in b"df":
            self._fail(by[0], "57014")
        else:
            raise AssertionError(f"a script sent {chr(kind)} within a COPY")
