"""The ward: the statements in quarantine, as this process knows them."""

from __future__ import annotations

from collections.abc import Sequence

from dbopt.clock import Clock, wall
from dbopt.store.quarantine import Quarantine


class Ward:
    """What was last read from the store. It goes on holding while the store is away."""

    def __init__(self, clock: Clock = wall) -> None:
        self._clock = clock
        self._held: dict[tuple[int, str], Quarantine] = {}

    def take(self, held: Sequence[Quarantine]) -> list[int]:
        """What is in quarantine now; gives the fingerprints for which that is a change.

        A new end is a change only if it is another second: clocks are read, and jitter.
        """
        before = {key: _essence(one) for key, one in self._held.items()}
        self._held = {(one.fingerprint, one.database): one for one in held}
        after = {key: _essence(one) for key, one in self._held.items()}
        changed = {key for key in before.keys() | after.keys() if not _same(before, after, key)}
        return sorted({fingerprint for fingerprint, _ in changed})

    def find(self, fingerprint: int, database: str) -> Quarantine | None:
        """The quarantine that keeps a statement from running in a database, the longest one."""
        keys = ((fingerprint, database), (fingerprint, ""))
        found = [self._held[key] for key in keys if key in self._held]
        now = self._clock()
        return max((q for q in found if q.expires > now), key=lambda q: q.expires, default=None)

    def held(self) -> list[Quarantine]:
        """All that is in quarantine now, what ends first at the front."""
        now = self._clock()
        return sorted((q for q in self._held.values() if q.expires > now), key=lambda q: q.expires)


_Essence = tuple[str, float]
_JITTER = 2.0


def _essence(one: Quarantine) -> _Essence:
    return one.reason, one.expires


def _same(
    before: dict[tuple[int, str], _Essence],
    after: dict[tuple[int, str], _Essence],
    key: tuple[int, str],
) -> bool:
    old, new = before.get(key), after.get(key)
    if old is None or new is None:
        return old is new
    return old[0] == new[0] and abs(old[1] - new[1]) < _JITTER
