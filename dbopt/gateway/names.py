"""Names: what a client's names of prepared statements stand for, whatever fails.

A name is changed when the request that changes it is sent, since what is pipelined behind it
counts on that. If the server skips the request, the change is taken back.
"""

from __future__ import annotations

from dbopt.gateway.ledger import EVERY, Ledger
from dbopt.gateway.request import CHECK, CLOSE, EXECUTE, PARSE, QUERY, Request
from dbopt.gateway.special import Work, channel, undo
from dbopt.gateway.statements import PREFIX, Prepared, Registry, Statement
from dbopt.sql.effects import Effect, SessionStatement
from dbopt.wire.report import ErrorResponse

_BY_SQL = frozenset((Effect.PREPARE, Effect.EXECUTE, Effect.DEALLOCATE, Effect.DISCARD))


class Names:
    """A client's names, and the unnamed statement.

    `held` says what the next message hangs on that an earlier batch, not yet answered, may
    change or not: it is sent when that is known. Within its own batch nothing is in doubt, since
    the server skips the rest of a batch in which something has failed.
    """

    __slots__ = ("held", "ledger", "names", "registry", "unnamed")

    def __init__(self, ledger: Ledger, registry: Registry) -> None:
        self.ledger = ledger
        self.registry = registry
        self.names: dict[bytes, Statement] = {}
        self.unnamed: Statement | None = None
        self.held: tuple[object, ...] = ()

    def still_held(self) -> bool:
        """Whether what `held` names is in doubt still."""
        return any(map(self.ledger.unsure, self.held))

    def _hold(self, *keys: object) -> bool:
        """Whether the message must wait: any of these names and statements is in doubt."""
        if self.ledger.touched and not self.ledger.skipping and any(map(self.ledger.unsure, keys)):
            self.held = keys
        return bool(self.held)

    def _hold_entries(self, entries: tuple[SessionStatement, ...], *keys: object) -> bool:
        """The same for what a special text names."""
        if not self.ledger.touched:
            return False
        named = [entry for entry in entries if entry.kind in _BY_SQL]
        by_name = (channel(entry) for entry in named if entry.names and not entry.every)
        every = (EVERY,) if any(entry.every for entry in named) else ()
        return self._hold(*keys, *every, *by_name)

    def outdate(self, head: Request | None, skipped: list[Request], prepared: Prepared) -> None:
        """The server refused to run a statement since its result has changed: prepare it anew."""
        found = [r.statement for r in skipped if r.kind == EXECUTE and r.statement is not None]
        if head is not None and head.work is not None:
            found += [step.statement for step in head.work.steps if step.statement is not None]
        for statement in found[:1] if skipped else found:
            self.registry.forget(statement)
            prepared.outdate(statement.name)
        if not found:
            prepared.outdate()  # a Bind without an Execute: it is not known of which

    def in_clients_words(self, error: ErrorResponse, head: Request | None) -> bytes | None:
        """The error with the client's name of a statement, and the place in the client's text.

        None where the server's own words are the client's.
        """
        fields = dict(error.fields)
        message, place = fields.get("M", b""), fields.get("P", b"")
        if b'"' + PREFIX in message:
            for name, statement in self.names.items():
                quoted = b'"' + statement.name + b'"'
                if statement.name and quoted in message:
                    fields["M"] = message.replace(quoted, b'"' + name + b'"')
        work = head.work if head is not None else None
        if head is not None and head.kind == PARSE and head.statement is not None:
            work = head.statement.work
        if work is not None and work.shifts and place.isdigit():
            fields["P"] = b"%d" % work.position(int(place))
        return ErrorResponse(fields).encode() if fields != error.fields else None

    def _enter(self, request: Request, *keys: object) -> None:
        """Enter a request that changes what these names stand for, or makes these statements."""
        if not self.ledger.skipping:
            self.ledger.enter(request, *keys)

    def _enter_work(self, request: Request, work: Work) -> None:
        """Enter a request that has changed names by SQL."""
        request.work = work
        changed = [name for change in work.changes for name in change.names]
        every = (EVERY,) if any(change.forgotten is not None for change in work.changes) else ()
        self.ledger.enter(request, *every, *changed)

    def undo(self, skipped: list[Request], prepared: Prepared) -> None:
        """The server skipped these requests after an error: what they were to do is undone.

        The last first: a name that was made and then closed must not come back.
        """
        for request in reversed(skipped):
            if request.work is not None:
                undo(request.work, self.names, prepared)
            statement = request.statement
            failed = request is skipped[0]
            if request.kind == PARSE and request.refusal and not request.name:
                self._unname(request, statement, failed)
            if statement is None or request.kind in (EXECUTE, CHECK):
                continue
            if request.kind == CLOSE:
                self._restore(request.name, statement)
                continue
            if request.kind == PARSE:
                self._unname(request, statement, failed)
            if (failed or not request.known) and statement not in self.ledger.touched:
                self._forget(statement, prepared)

    def _unname(self, request: Request, statement: Statement | None, failed: bool) -> None:
        if request.name:
            if self.names.get(request.name) is statement:
                del self.names[request.name]
            return
        former = None if failed else request.former  # a Parse that fails has dropped the former
        for later in self.ledger.requests:
            if later.kind == QUERY:
                return  # it ends the unnamed statement
            if later.kind == PARSE and not later.name and later.statement is not None:
                later.former = former
                return
        self.unnamed = former

    def _restore(self, name: bytes, statement: Statement) -> None:
        if name:
            self.names[name] = statement
        else:
            self.unnamed = statement

    def _forget(self, statement: Statement, prepared: Prepared) -> None:
        if statement.name:
            prepared.discard(statement.name)
        elif prepared.unnamed is statement:
            prepared.unnamed = None

    def forget_names(self) -> None:
        """The client ran DISCARD ALL or DEALLOCATE ALL: its names are gone."""
        self.names.clear()
