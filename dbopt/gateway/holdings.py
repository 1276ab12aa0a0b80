"""Holdings: what a client's session holds that cannot be shared, and how it is found out.

Pure. The text of a statement only makes suspect: whether a temporary table or a lock is there
when the transaction is over, the server is asked (`probe`), since it alone knows. Settings that
the server does not report are learnt the same way, and then follow the client as the others do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from dbopt.gateway.session import literal
from dbopt.sql.effects import Effect, SessionStatement
from dbopt.wire import encode
from dbopt.wire.buffer import decode

_HELD: Final = frozenset((Effect.TEMP, Effect.HOLD, Effect.ADVISORY, Effect.SET_ROLE, Effect.DO))
_FOR_GOOD: Final = {Effect.LOAD: "load", Effect.STATEFUL_CALL: "call"}
_CLEANS: Final = frozenset(
    (
        Effect.DROP, Effect.CLOSE, Effect.ADVISORY_UNLOCK, Effect.DISCARD, Effect.RESET,
        Effect.ROLLBACK_TO,
    )
)  # fmt: skip
_SETS: Final = frozenset((Effect.SET, Effect.SET_CONFIG, Effect.RESET))
_RESETS: Final = (
    ((Effect.ADVISORY,), "SELECT pg_catalog.pg_advisory_unlock_all()"),
    ((Effect.HOLD,), "CLOSE ALL"),
    ((Effect.LISTEN,), "UNLISTEN *"),
    ((Effect.TEMP,), "DISCARD TEMP"),
    ((Effect.SET_ROLE,), "SET SESSION AUTHORIZATION DEFAULT"),
    ((Effect.SET, Effect.SET_CONFIG, Effect.RESET, Effect.SET_ROLE), "RESET ALL"),
)
"""What ends which effects, the cheapest that does."""
_NEEDS_ALL: Final = frozenset((Effect.DO, Effect.LOAD, Effect.STATEFUL_CALL))
_MOST_NAMES: Final = 100

_PROBE: Final = r"""
SELECT 'set', name, setting FROM pg_catalog.pg_settings WHERE source = 'session'
  AND context <> 'internal' AND name NOT LIKE 'transaction\_%'
UNION ALL SELECT 'custom', n, pg_catalog.current_setting(n, true)
  FROM pg_catalog.unnest(ARRAY[{names}]::text[]) AS n
UNION ALL SELECT 'temp', '', '' WHERE EXISTS (SELECT FROM pg_catalog.pg_depend
  WHERE refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
  AND refobjid = pg_catalog.pg_my_temp_schema())
UNION ALL SELECT 'advisory', '', '' WHERE EXISTS (SELECT FROM pg_catalog.pg_locks
  WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid())
UNION ALL SELECT 'hold', '', '' WHERE EXISTS (SELECT FROM pg_catalog.pg_cursors WHERE is_holdable)
UNION ALL SELECT 'role', '', '' WHERE pg_catalog.current_setting('role') <> 'none'
  OR session_user <> {user}"""
_COLUMNS: Final = 3
_NO_SETTINGS: Final = frozenset(("role", "session_authorization", "seed"))

Row = tuple[bytes | None, ...]


class Holdings:
    """See the module. `followed` are the lower-case names of settings that may follow the client
    ("*": all); `pins` says in a word each why the client is pinned; `suspect` asks for a probe.
    `resets` are those that are not reported of which a RESET ran: who acts on them clears them.
    """

    __slots__ = (
        "_followed", "_for_good", "_names", "kinds", "pins", "resets", "suspect",
    )  # fmt: skip

    def __init__(self, followed: Collection[str]) -> None:
        self._followed = followed
        self._for_good: set[str] = set()
        self._names: set[str] = set()
        self.resets: set[str] = set()
        self.kinds: set[Effect] = set()
        self.pins: frozenset[str] = frozenset()
        self.suspect = False

    def note(self, entry: SessionStatement, reported: frozenset[str]) -> None:
        """A statement with this effect has run; `reported`: settings that the server reports."""
        kind = entry.kind
        self.kinds.add(kind)
        if kind is Effect.SET_CONFIG and not entry.names:
            self._for_good.add("setting")  # its name is a parameter: nobody can list its like
        if kind is Effect.DO:
            self._names |= set(entry.names)
        if kind in _SETS:
            unknown = {name for name in entry.names if name not in reported}
            if len(self._names) < _MOST_NAMES:
                self._names |= {name for name in unknown if "." in name}
            # RESET ALL leaves nothing, unless it is rolled back: see `reset_undone`.
            self.suspect |= bool(unknown or not entry.names) and not entry.every
            if kind is Effect.RESET and len(self.resets) < _MOST_NAMES:
                self.resets |= unknown
        if kind is Effect.ROLLBACK_TO:
            self.resets.clear()  # whether they came before the savepoint is not known
        self.suspect |= kind in _HELD or (bool(self.pins) and kind in _CLEANS)
        if kind in _FOR_GOOD:
            self._for_good.add(_FOR_GOOD[kind])
            self.suspect = True
        if kind is Effect.DISCARD and entry.every:
            self.kinds = {Effect.DISCARD}
            self._for_good.discard("setting")

    def reset_undone(self) -> None:
        """The transaction in which a RESET ALL ran may have been rolled back."""
        if Effect.RESET in self.kinds:
            self.suspect = True

    def probe(self, user: str) -> bytes:
        """The Query that asks what the session holds; `user` is who the backend logged in as."""
        self.suspect = False
        names = ",".join(literal(name) for name in sorted(self._names))
        return encode.query(_PROBE.format(names=names, user=literal(user)).encode())

    def judge(
        self, rows: Iterable[Row], settings: Mapping[str, str], reported: frozenset[str]
    ) -> dict[str, str]:
        """Reads a probe's rows: sets `pins`, and gives the settings that the client has now."""
        asked, self._names = self._names, set()
        found = {
            name: value
            for name, value in settings.items()
            if name.lower() in reported or ("." in name and name not in asked)
        }
        pins = set(self._for_good)
        for row in rows:
            kind, name, value = row if len(row) == _COLUMNS else (b"unknown", b"", b"")
            setting = _text(name)
            if kind not in (b"set", b"custom"):
                pins.add(_text(kind))
            elif value is not None and setting.lower() not in reported | _NO_SETTINGS:
                found[setting] = _text(value)
                if "*" not in self._followed and setting not in self._followed:
                    pins.add("setting")
        self.pins = frozenset(pins)
        return found

    def reset_sql(self, query: str) -> bytes:
        """What cleans the session, and no more; `query` where only a full reset can tell."""
        if self.kinds & _NEEDS_ALL:
            return query.encode()
        needed = [sql for kinds, sql in _RESETS if self.kinds.intersection(kinds)]
        return ";".join(needed).encode()


def _text(value: bytes | None) -> str:
    return "" if value is None else decode(value)
