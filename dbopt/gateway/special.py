"""Special statements: those that name a prepared statement in SQL, listen, or change the session.

Pure. A special text is made anew where the gateway must stand between: names of prepared
statements are the gateway's own on the server, and LISTEN is done by a shared listener. What a
text has done is told as its statements complete, so that the relay can act on it.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from dbopt.gateway.statements import NOWHERE, PREFIX, Prepared, Registry, Statement
from dbopt.sql.effects import Effect, SessionStatement

_MAX_NAME: Final = 63
"""Bytes that PostgreSQL keeps of an identifier (NAMEDATALEN - 1)."""
_NOTHING: Final = b"UNLISTEN " + NOWHERE
"""Does nothing, fails in a failed transaction as what it stands for would, and has a short tag."""

_DOTTED: Final = re.compile(rb"'([A-Za-z_][A-Za-z0-9_]*\.[A-Za-z_][A-Za-z0-9_.]*)'")
_UNNAMED: Final = frozenset((Effect.DO, Effect.SET_CONFIG))
_OUTLAST_ERRORS: Final = frozenset((Effect.ADVISORY, Effect.DO))
"""A session's advisory lock is kept when the statement that took it fails."""
REFUSABLE: Final = {
    Effect.TEMP: "a temporary object",
    Effect.HOLD: "a cursor WITH HOLD",
    Effect.ADVISORY: "a session-level advisory lock",
    Effect.SET_ROLE: "SET ROLE or SET SESSION AUTHORIZATION",
    Effect.LOAD: "LOAD",
    Effect.STATEFUL_CALL: "a function that leaves a trace in the session",
}
"""What pool.unshareable = "refuse" refuses, in words."""


class Step(NamedTuple):
    """One effect of the statement with that number (from 0) in its text.

    `statement` is what `name` stands, or stood, for; `added`: the text makes it on the backend.
    """

    ordinal: int
    entry: SessionStatement
    name: bytes = b""
    statement: Statement | None = None
    added: bool = False


class End(NamedTuple):
    """A transaction is over. `explicit`: a COMMIT or ROLLBACK ended it."""

    committed: bool
    explicit: bool


class Change(NamedTuple):
    """What a step did to the names, so that it can be taken back."""

    ordinal: int
    names: dict[bytes, Statement | None]
    added: Statement | None = None
    forgotten: tuple[bytes, ...] | None = None


class Work:
    """What one special text does: its steps, the tags to give instead, how far it has come.

    `shifts` tells where the text that the server has is longer than the client's: pairs of a
    character's number in the server's and how many more there are before it.
    """

    __slots__ = ("changes", "done", "shifts", "steps", "tags")

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.tags: dict[int, bytes] = {}
        self.shifts: list[tuple[int, int]] = []
        self.changes: list[Change] = []
        self.done = 0

    def completed(self) -> tuple[list[Step], bytes | None]:
        """A statement of it is done: its steps, and the tag to tell instead of the server's."""
        number = self.done
        self.done += 1
        return [step for step in self.steps if step.ordinal == number], self.tags.get(number)

    def outlasting(self) -> list[Step]:
        """Of the statement that has failed: what may be there although it was rolled back."""
        return [
            step
            for step in self.steps
            if step.ordinal == self.done and step.entry.kind in _OUTLAST_ERRORS
        ]

    def again(self) -> Work:
        """The same for an execution."""
        made = Work()
        made.steps, made.tags, made.shifts = self.steps, self.tags, self.shifts
        return made

    def position(self, number: int) -> int:
        """Which character of the client's text is the server's with that number (from 1)."""
        more = 0
        for place, longer in self.shifts:
            if number > place:
                more = longer
        return number - more

    def change(self, names: dict[bytes, Statement], prepared: Prepared, step: Step) -> None:
        """The names after a step: at once, so that what is pipelined behind it finds them."""
        kind = step.entry.kind
        if step.entry.every and kind in (Effect.DEALLOCATE, Effect.DISCARD):
            before: dict[bytes, Statement | None] = dict(names)
            self.changes.append(Change(step.ordinal, before, forgotten=prepared.forget_all()))
            names.clear()
        elif step.statement is not None and kind is Effect.PREPARE and step.name not in names:
            added = step.statement if step.added else None
            self.changes.append(Change(step.ordinal, {step.name: None}, added))
            names[step.name] = step.statement
        elif step.statement is not None and kind is Effect.DEALLOCATE:
            self.changes.append(Change(step.ordinal, {step.name: names.pop(step.name, None)}))


class Rewriting:
    """A special text on its way to one backend: what to send, and first.

    Of a Query the names change `at_once`; of a Parse, when it is executed.
    """

    def __init__(
        self,
        sql: bytes,
        entries: tuple[SessionStatement, ...],
        names: dict[bytes, Statement],
        prepared: Prepared,
        registry: Registry,
        *,
        shared_listen: bool,
        at_once: bool = True,
    ) -> None:
        self.work = Work()
        self._at_once = at_once
        self.needed: list[Statement] = []
        self.closed: list[Statement] = []
        self._used: set[Statement] = set()
        self._names = names
        self._prepared = prepared
        self._registry = registry
        self._shared_listen = shared_listen
        self._sql = sql
        self._edits: list[tuple[int, int, bytes]] = []
        self._read(entries)
        self.sql = self._edited()

    def _read(self, entries: tuple[SessionStatement, ...]) -> None:
        start, ordinal, preparing = -1, -1, False
        for entry in entries:
            if entry.start != start:
                start, preparing = entry.start, False
                ordinal += 1
            if preparing:
                continue  # it belongs to the prepared statement's body
            preparing = entry.kind is Effect.PREPARE
            self._step(ordinal, entry)

    def _step(self, ordinal: int, entry: SessionStatement) -> None:
        kind = entry.kind
        if kind is Effect.PREPARE and entry.names:
            self._prepare(ordinal, entry)
        elif kind is Effect.EXECUTE and entry.names:
            self._execute(ordinal, entry)
        elif kind is Effect.DEALLOCATE and not entry.every and entry.names:
            self._deallocate(ordinal, entry)
        else:
            if kind in (Effect.LISTEN, Effect.UNLISTEN) and self._shared_listen:
                self._instead(ordinal, entry, kind.name.encode())
            if kind in _UNNAMED and not entry.names:
                entry = entry._replace(names=self._dotted(entry))
            self._do(Step(ordinal, entry))

    def _do(self, step: Step) -> None:
        self.work.steps.append(step)
        if self._at_once:
            self.work.change(self._names, self._prepared, step)

    def _dotted(self, entry: SessionStatement) -> tuple[str, ...]:
        """Constants of the statement that may be names of settings that nobody can list."""
        found = _DOTTED.findall(self._sql, entry.start, entry.end)
        return tuple(sorted({name.decode("latin-1").lower() for name in found}))

    def _prepare(self, ordinal: int, entry: SessionStatement) -> None:
        name = channel(entry)
        known = self._names.get(name)
        if known is not None:
            # The server refuses a second one by its own name, which it must have for that.
            self._need(known)
            self._rename(entry, known.name)
            return
        body = self._sql[entry.body_start : entry.end]
        statement = self._registry.prepared(body)
        if statement in self._used:
            self._instead(ordinal, entry, b"PREPARE")  # by another name, in this very text
            self._do(Step(ordinal, entry, name, statement))
            return
        if self._prepared.use(statement.name) or statement.name in self._prepared.stale:
            self._prepared.stale.discard(statement.name)
            self.closed.append(statement)  # prepared anew: its tables may have changed
        self._prepared.add(statement.name)
        self._used.add(statement)
        self._rename(entry, statement.name)
        self._do(Step(ordinal, entry, name, statement, added=True))

    def _execute(self, ordinal: int, entry: SessionStatement) -> None:
        name = channel(entry)
        statement = self._names.get(name)
        if statement is None:
            if name.startswith(PREFIX):
                self._rename(entry, NOWHERE)
            return
        self._need(statement)
        self._rename(entry, statement.name)
        self.work.steps.append(Step(ordinal, entry, name, statement))
        self.work.steps += [Step(ordinal, body) for body in statement.effects]

    def _deallocate(self, ordinal: int, entry: SessionStatement) -> None:
        name = channel(entry)
        statement = self._names.get(name)
        if statement is None:
            if name.startswith(PREFIX):
                self._rename(entry, NOWHERE)
            return
        self._instead(ordinal, entry, b"DEALLOCATE")
        self._do(Step(ordinal, entry, name, statement))

    def _need(self, statement: Statement) -> None:
        self._used.add(statement)
        if not self._prepared.use(statement.name):
            self._prepared.add(statement.name)
            self.needed.append(statement)

    def _rename(self, entry: SessionStatement, name: bytes) -> None:
        self._edits.append((entry.name_start, entry.name_end, name))

    def _instead(self, ordinal: int, entry: SessionStatement, tag: bytes) -> None:
        self._edits.append((entry.start, entry.end, _NOTHING))
        self.work.tags[ordinal] = tag

    def _edited(self) -> bytes:
        if not self._edits:
            return self._sql
        parts, position, place, longer = [], 0, 0, 0
        for start, end, text in sorted(self._edits):
            parts += [self._sql[position:start], text]
            place += _characters(self._sql[position:start]) + _characters(text)
            longer += _characters(text) - _characters(self._sql[start:end])
            self.work.shifts.append((place, longer))
            position = end
        parts.append(self._sql[position:])
        return b"".join(parts)


def undo(work: Work, names: dict[bytes, Statement], prepared: Prepared) -> None:
    """Take back what a text was to do to the names and has not done, the last first."""
    while work.changes and work.changes[-1].ordinal >= work.done:
        change = work.changes.pop()
        for name, statement in change.names.items():
            if statement is None:
                names.pop(name, None)
            else:
                names[name] = statement
        if change.added is not None:
            prepared.doubt(change.added.name)
        for name in change.forgotten or ():
            prepared.add(name)


def outdated(statement: Statement, names: dict[bytes, Statement]) -> bool:
    """Whether a text that names prepared statements would now name others, or none."""
    work = statement.work
    return work is not None and any(
        step.entry.kind is Effect.EXECUTE and names.get(step.name) is not step.statement
        for step in work.steps
    )


def _characters(text: bytes) -> int:
    return len(text) if text.isascii() else len(text.decode("utf-8", "replace"))


def channel(entry: SessionStatement) -> bytes:
    """The one name of an entry, as the bytes that the client wrote."""
    return entry.names[0].encode("latin-1")[:_MAX_NAME]


def channels(entries: tuple[SessionStatement, ...]) -> set[bytes]:
    """The channels that a text listens on."""
    return {channel(entry) for entry in entries if entry.kind is Effect.LISTEN and entry.names}


def refusal(entries: tuple[SessionStatement, ...], sql: bytes) -> str:
    """What of a text cannot be shared, in words; "" where all can."""
    for entry in entries:
        if entry.kind is Effect.SET_ROLE and sql[entry.start : entry.start + 5].lower() == b"reset":
            continue
        if entry.kind in REFUSABLE:
            return REFUSABLE[entry.kind]
    return ""
