"""Prepared statements shared among clients: one server name a distinct (SQL, parameter types).

In transaction mode a client's statement outlives its backend, so the gateway gives each
distinct statement a name of its own, and parses it on each backend that lacks it.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import count
from typing import TYPE_CHECKING

from dbopt.sql.effects import bounded_effects
from dbopt.wire import encode

if TYPE_CHECKING:
    from dbopt.gateway.special import Work

PREFIX = b"dbopt_"
NOWHERE = PREFIX + b"none"
"""A statement name that never exists: closing it is a request whose reply keeps the order."""


_LONGEST_KEPT = 4096
"""Longer unnamed statements are mostly one-off literals."""


class Statement:
    """One distinct statement. `name` is the server's; `message` is what makes it there.

    `effects` is what it does to its session. Of a text that was made anew for the server `sql`
    is the client's, `work` what it does to the client's names and channels, and `needs` are the
    statements that it names. `shape` is what clients were told that its parameters and its
    result are, if that is known. `in_sql` tells that PREPARE makes it: `message` is then a Query.
    """

    __slots__ = (
        "effects", "in_sql", "message", "name", "needs", "shape", "special", "sql", "types", "work",
    )  # fmt: skip

    def __init__(self, name: bytes, sql: bytes, types: bytes) -> None:
        self.name = name
        self.sql = sql
        self.types = types
        self.effects = bounded_effects(sql)
        self.special = bool(self.effects)
        self.message = encode.parse(name, sql, types)
        self.in_sql = False
        self.shape: bytes | None = None
        self.needs: tuple[Statement, ...] = ()
        self.work: Work | None = None


class Registry:
    """The distinct statements of a worker, the least recently parsed forgotten first.

    Forgetting one costs a second name for the same SQL, never a wrong statement: names are
    never used again.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._known: OrderedDict[tuple[bytes, bytes], Statement] = OrderedDict()
        self.unnamed: dict[bytes, Statement] = {}
        self._numbers = count(1)

    def statement(self, sql: bytes, types: bytes) -> Statement:
        """The one Statement of that SQL and those parameter types (as in a Parse message)."""
        key = (sql, types)
        known = self._known.get(key)
        if known is not None:
            self._known.move_to_end(key)
            return known
        made = Statement(self.new_name(), sql, types)
        self._keep(key, made)
        return made

    def prepared(self, body: bytes) -> Statement:
        """The one Statement that PREPARE makes of `(types) AS statement`."""
        key = (b"PREPARE", body)
        known = self._known.get(key)
        if known is not None:
            self._known.move_to_end(key)
            return known
        made = Statement(self.new_name(), body, b"\0\0")
        made.message = encode.query(b"PREPARE " + made.name + body)
        made.in_sql = True
        self._keep(key, made)
        return made

    def new_name(self) -> bytes:
        """A name that no backend has."""
        return PREFIX + b"%d" % next(self._numbers)

    def forget(self, statement: Statement) -> None:
        """It is out of date: whoever prepares its SQL again gets a new one."""
        for key, known in list(self._known.items()):
            if known is statement:
                del self._known[key]

    def _keep(self, key: tuple[bytes, bytes], made: Statement) -> None:
        self._known[key] = made
        if len(self._known) > self._capacity:
            self._known.popitem(last=False)

    def unnamed_statement(self, message: bytes, sql: bytes, types: bytes) -> Statement:
        """The one Statement of a Parse message without a name; the usual ones are kept."""
        known = self.unnamed.get(message)
        if known is not None:
            return known
        made = Statement(b"", sql, types)
        if len(message) <= _LONGEST_KEPT:
            if len(self.unnamed) >= self._capacity:
                self.unnamed.clear()
            self.unnamed[message] = made
        return made


class Prepared:
    """What one backend has prepared: server names in order of use, and the unnamed statement.

    `stale` are those that it has and must not use again: they are closed first.
    """

    __slots__ = ("_capacity", "_names", "crowded", "stale", "unnamed")

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._names: OrderedDict[bytes, None] = OrderedDict()
        self.unnamed: Statement | None = None
        self.stale: set[bytes] = set()
        self.crowded = False

    def __contains__(self, name: bytes) -> bool:
        return name in self._names

    def __len__(self) -> int:
        return len(self._names)

    def use(self, name: bytes) -> bool:
        """Whether it is there; if so it becomes the last to be evicted."""
        if name in self._names:
            self._names.move_to_end(name)
            return True
        return False

    def add(self, name: bytes) -> None:
        """Note a new one. `crowded` then tells whether there are more than there may be."""
        self._names[name] = None
        self.crowded = len(self._names) > self._capacity

    def overflow(self) -> list[bytes]:
        """Forget those above the capacity, the least recently used, and the stale; their names."""
        self.crowded = False
        found = [*self.stale]
        self.stale.clear()
        while len(self._names) > self._capacity:
            found.append(self._names.popitem(last=False)[0])
        return found

    def discard(self, name: bytes) -> None:
        """Forget one: its Parse failed, or it was closed."""
        self._names.pop(name, None)

    def doubt(self, name: bytes) -> None:
        """What was to close it and make it anew may have been skipped: it is there, or not."""
        self.discard(name)
        self.stale.add(name)

    def outdate(self, name: bytes | None = None) -> None:
        """The server has it (None: all), and refuses to run it: its plan's result has changed."""
        gone = [name] if name is not None else list(self._names)
        for one in gone:
            if one in self._names:
                del self._names[one]
                self.stale.add(one)
        self.unnamed = None
        self.crowded = True

    def forget_all(self) -> tuple[bytes, ...]:
        """Forget all, and give their names: the server is to run DISCARD ALL or DEALLOCATE ALL."""
        names = (*self._names, *self.stale)
        self.clear()
        return names

    def clear(self) -> None:
        """Forget all: the server ran DISCARD ALL or DEALLOCATE ALL."""
        self._names.clear()
        self.stale.clear()
        self.unnamed = None
