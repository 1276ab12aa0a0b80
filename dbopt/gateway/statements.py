"""Prepared statements shared among clients: one server name a distinct (SQL, parameter types).

In transaction mode a client's statement outlives its backend, so the gateway gives each
distinct statement a name of its own, and parses it on each backend that lacks it.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import count

from dbopt.sql.effects import is_special
from dbopt.wire import encode

PREFIX = b"dbopt_"
NOWHERE = PREFIX + b"none"
"""A statement name that never exists: closing it is a request whose reply keeps the order."""


_LONGEST_KEPT = 4096
"""Longer unnamed statements are mostly one-off literals."""


class Statement:
    """One distinct statement. `name` is the server's; `message` is the Parse that makes it."""

    __slots__ = ("message", "name", "special", "sql")

    def __init__(self, name: bytes, sql: bytes, types: bytes) -> None:
        self.name = name
        self.sql = sql
        self.special = is_special(sql)
        self.message = encode.parse(name, sql, types)


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
        made = Statement(PREFIX + b"%d" % next(self._numbers), sql, types)
        self._known[key] = made
        if len(self._known) > self._capacity:
            self._known.popitem(last=False)
        return made

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
    """What one backend has prepared: server names in order of use, and the unnamed statement."""

    __slots__ = ("_capacity", "_names", "crowded", "unnamed")

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._names: OrderedDict[bytes, None] = OrderedDict()
        self.unnamed: Statement | None = None
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
        """Forget those above the capacity, the least recently used; gives their names."""
        excess = len(self._names) - self._capacity
        self.crowded = False
        if excess <= 0:
            return []
        return [self._names.popitem(last=False)[0] for _ in range(excess)]

    def discard(self, name: bytes) -> None:
        """Forget one: its Parse failed, or it was closed."""
        self._names.pop(name, None)

    def clear(self) -> None:
        """Forget all: the server ran DISCARD ALL or DEALLOCATE ALL."""
        self._names.clear()
        self.unnamed = None
