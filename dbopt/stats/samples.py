"""Samples of sessions, added up: average active sessions, what statements waited for. PURE.

A session at work that waits for nothing uses the CPU. Divided by the samples taken, the counts are
average active sessions (AAS).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from dbopt.store.frame import Frame, Key, Target

CPU = "CPU"
_MAX_KEYS = 5000
_MAX_RUNS = 20_000
_KEPT_RUNS = 120.0
"""Seconds that a statement's waits are kept after it was seen last."""
_RECENT = 60
OTHER = "(other)"
_RACE = 0.01
"""Seconds; see _wait."""

WAITS = ("state", "wait_event_type", "wait_event", "fingerprint", "user", "application", "database")
BLOCKING = ("blocked", "blocking", "mode", "relation")
COUNTERS = ("samples",)


class Session(NamedTuple):
    """One session at one moment. `since` is when its statement began, local epoch seconds."""

    pid: int
    state: str
    wait_event_type: str
    wait_event: str
    fingerprint: int
    user: str
    application: str
    database: str
    since: float = 0.0
    blocked_by: tuple[int, ...] = ()
    lock_mode: str = ""
    lock_object: str = ""

    @property
    def active(self) -> bool:
        """Whether it is at work; one that idles in a transaction is not."""
        return self.state in ("active", "fastpath function call")

    @property
    def wait(self) -> str:
        """What it waits for, in words: "CPU" or "Type:Event"."""
        return f"{self.wait_event_type}:{self.wait_event}" if self.wait_event_type else CPU


@dataclass(slots=True)
class _Run:
    """One statement's run in one session, as far as it was seen."""

    first: float
    last: float
    waits: dict[str, int] = field(default_factory=dict)


class Samples:
    """What was sampled since the last `take`, and lately. All bounded."""

    def __init__(self) -> None:
        self._waits: dict[Key, int] = {}
        self._blocking: dict[Key, int] = {}
        self._runs: OrderedDict[tuple[int, float], _Run] = OrderedDict()
        self._recent: deque[tuple[float, dict[str, int]]] = deque(maxlen=_RECENT)
        self._taken = 0
        self.sessions: Sequence[Session] = ()

    def add(self, sessions: Sequence[Session], now: float) -> None:
        """One sample, taken at `now` (local epoch seconds)."""
        self._taken += 1
        self.sessions = sessions
        by_pid = {session.pid: session for session in sessions}
        load: dict[str, int] = {}
        for session in sessions:
            _count(self._waits, _wait_key(session))
            self._ran(session, now)
            if session.active:
                wait = session.wait_event_type or CPU
                load[wait] = load.get(wait, 0) + 1
            for pid in session.blocked_by:
                blocker = by_pid.get(pid)
                number = blocker.fingerprint if blocker is not None else 0
                modes = (session.lock_mode, session.lock_object)
                _count(self._blocking, (session.fingerprint, number, *modes))
        self._recent.append((now, load))
        self._forget(now)

    def _ran(self, session: Session, now: float) -> None:
        if not session.active or not session.since:
            return
        key = (session.pid, session.since)
        run = self._runs.get(key)
        if run is None:
            run = self._runs[key] = _Run(session.since, now)
        self._runs.move_to_end(key)
        run.last = now
        run.waits[session.wait] = run.waits.get(session.wait, 0) + 1

    def _forget(self, now: float) -> None:
        runs = self._runs
        while runs and (len(runs) > _MAX_RUNS or next(iter(runs.values())).last < now - _KEPT_RUNS):
            runs.popitem(last=False)

    def waits(self, pid: int, started: float, ended: float) -> dict[str, int]:
        """What a backend was seen to wait for in a time (epoch seconds), by samples; {} if never.

        It may have run several statements in that time, as a pipeline does.
        """
        found: dict[str, int] = {}
        for (number, since), run in self._runs.items():
            if number == pid and since <= ended and run.last >= started and since >= started - 1.0:
                for wait, count in run.waits.items():
                    found[wait] = found.get(wait, 0) + count
        return found

    def load(self, seconds: float = 60.0) -> dict[str, float]:
        """Average active sessions by kind of wait, of the last samples (at most a minute)."""
        if not self._recent:
            return {}
        since = self._recent[-1][0] - seconds
        chosen = [load for at, load in self._recent if at > since]
        sums: dict[str, int] = {}
        for load in chosen:
            for wait, count in load.items():
                sums[wait] = sums.get(wait, 0) + count
        return {wait: count / len(chosen) for wait, count in sorted(sums.items())}

    def take(self, server: str, at: datetime) -> list[Frame]:
        """The frames of what was added since the last call; `seconds` are samples taken.

        The sampling interval may be another: samples ÷ seconds is AAS all the same.
        """
        if not self._taken:
            return []
        target = Target(server)
        frames = [
            _frame(target, "waits", at, self._taken, self._waits),
            _frame(target, "blocking", at, self._taken, self._blocking),
        ]
        self._waits, self._blocking, self._taken = {}, {}, 0
        return frames


def _wait_key(session: Session) -> Key:
    return (
        session.state, session.wait_event_type, session.wait_event, session.fingerprint,
        session.user, session.application, session.database,
    )  # fmt: skip


def _count(counts: dict[Key, int], key: Key) -> None:
    if key not in counts and len(counts) >= _MAX_KEYS:
        key = tuple(OTHER if isinstance(part, str) else 0 for part in key)
    counts[key] = counts.get(key, 0) + 1


def _frame(
    target: Target, view: str, at: datetime, samples: int, counts: Mapping[Key, int]
) -> Frame:
    changed = {key: (count,) for key, count in counts.items()}
    return Frame(target, view, at, float(samples), COUNTERS, (), changed)


def sessions_of(
    rows: Iterable[Mapping[str, object]],
    fingerprint_of: Callable[[Mapping[str, object]], int],
    offset: float,
) -> list[Session]:
    """Sessions of the rows of `sample_sessions`; `offset` is our clock less the server's."""
    return [
        Session(
            pid=_int(row["pid"]),
            state=str(row["state"]),
            wait_event_type=wait[0],
            wait_event=wait[1],
            fingerprint=fingerprint_of(row),
            user=str(row["user"]),
            application=str(row["application"]),
            database=str(row["database"]),
            since=_float(row["query_start"]) + offset if row["query_start"] else 0.0,
            blocked_by=_pids(row["blocked_by"]),
        )
        for row in rows
        for wait in (_wait(row),)
    ]


def _wait(row: Mapping[str, object]) -> tuple[str, str]:
    """Type and event. pg_stat_activity copies the state first, and looks at the wait later.

    So a session whose short statement has ended in between, and that reads what its client sends
    next, looks as if that statement waited for the client; it used the CPU. COPY really waits so,
    but takes longer.
    """
    kind, event = str(row["wait_event_type"]), str(row["wait_event"])
    if event == "ClientRead" and row["state"] == "active":
        start, now = row["query_start"], row["now"]
        if isinstance(start, float) and isinstance(now, float) and now - start < _RACE:
            return "", ""
    return kind, event


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0


def _float(value: object) -> float:
    return value if isinstance(value, float) else 0.0


def _pids(value: object) -> tuple[int, ...]:
    return tuple(pid for pid in value if isinstance(pid, int)) if isinstance(value, list) else ()
