"""How long an index build will take still, from what it has done in how much time. PURE."""

from __future__ import annotations

from dbopt.migrate.progress import PHASES

ENOUGH_SECONDS = 1.0
"""So long has a phase been seen before its speed says anything,"""
ENOUGH_SHARE = 0.005
"""and so much of the whole build has been done meanwhile."""


class Eta:
    """Is given each look at one build. While the build waits for somebody, nobody knows.

    The rest of a phase takes as long as its speed says; each later phase as long as its share of
    the whole, at the speed of the phases that were seen. Waits that are yet to come are not in it.
    """

    def __init__(self) -> None:
        self._phase = ""
        self._since = 0.0
        self._from = 0.0
        self._last = (0.0, 0.0)
        self._worked = 0.0
        self._share = 0.0

    def seen(self, phase: str, fraction: float, now: float, *, blocked: bool) -> float | None:
        """Seconds left at the moment `now`, or None. `fraction` is of the whole build."""
        if phase != self._phase:
            self._turn(phase, fraction, now)
        self._last = (now, fraction)
        seconds, share = now - self._since, fraction - self._from
        if blocked or phase.startswith("waiting"):
            return None
        if seconds < ENOUGH_SECONDS or share < ENOUGH_SHARE:
            return None
        rest = max(0.0, _end(phase) - fraction)
        later = max(0.0, 1.0 - _end(phase))
        speed = (self._share + share) / (self._worked + seconds)
        return rest * seconds / share + later / speed

    def _turn(self, phase: str, fraction: float, now: float) -> None:
        """Another phase begins. The time of waiting phases says nothing of the work."""
        if self._phase and not self._phase.startswith("waiting"):
            at, reached = self._last
            self._worked += at - self._since
            self._share += reached - self._from
        self._phase, self._since, self._from = phase, now, fraction


def _end(phase: str) -> float:
    return next((end for known, _, end in PHASES if known == phase), 1.0)
