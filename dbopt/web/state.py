"""What the HTTP application shows: bound in the daemon, shaped here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from msgspec.structs import asdict

from dbopt.clock import wall
from dbopt.metrics import Metrics
from dbopt.observation import PoolSnapshot
from dbopt.sql.fingerprint import fingerprint_hex
from dbopt.stats.samples import Samples, Session
from dbopt.trace.jobs import Jobs
from dbopt.trace.planbook import CapturedPlan
from dbopt.trace.recorder import Recorder
from dbopt.trace.slow import SlowLog
from dbopt.trace.transactions import Transactions
from dbopt.trace.workers import Workers

Address = tuple[str, int]


class Plans(Protocol):
    """dbopt.trace.plans.PlanCapture."""

    def latest(self, fingerprint: int) -> CapturedPlan | None:
        """The latest plan of a statement."""
        ...

    def shapes(self, fingerprint: int) -> list[dict[str, Any]]:
        """Every shape that a statement's plans have had, for JSON."""
        ...


class GuardView(Protocol):
    """dbopt.guard.control.GuardControl."""

    def to_dict(self, limit: int = 50) -> dict[str, Any]:
        """Modes, rules, the newest decisions, totals, quarantine."""
        ...

    def summary(self) -> dict[str, Any]:
        """The mode, and how many statements were refused, or would have been."""
        ...


class Shown(Protocol):
    """What a page shows as it is: dbopt.check.job.CheckJob, or the daemon's collection."""

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        ...


class State(Protocol):
    """What the daemon has. `gateway` is ("", 0) without TCP; `uptime` is seconds."""

    version: str
    metrics: Metrics
    recorder: Recorder
    slow: SlowLog
    transactions: Transactions
    workers: Workers
    jobs: Jobs

    @property
    def plans(self) -> Plans:
        """The plans that were taken."""
        ...

    @property
    def guard(self) -> GuardView:
        """What may run."""
        ...

    @property
    def activity(self) -> Samples | None:
        """What sessions were seen to wait for; None where nobody looks."""
        ...

    @property
    def checks(self) -> Shown:
        """The health checks."""
        ...

    @property
    def collection(self) -> Shown:
        """What is collected of the server."""
        ...

    @property
    def gateway(self) -> Address:
        """Host and port that clients connect to."""
        ...

    @property
    def uptime(self) -> float:
        """Seconds since the start."""
        ...

    @property
    def restarts(self) -> int:
        """How often a worker was started again."""
        ...

    def store(self) -> dict[str, Any]:
        """The store's state: `ready` (bool) and `reason` (why not, else "")."""
        ...

    async def unready(self) -> str:
        """Why no statement can be served now; "" where one can."""
        ...


def status(state: State) -> dict[str, Any]:
    """The daemon at a glance, for JSON. Times are seconds unless a name ends in _ms or _us."""
    host, port = state.gateway
    return {
        "version": state.version,
        "uptime": round(state.uptime, 1),
        "gateway": {"host": host, "port": port},
        "workers": state.workers.to_dict(),
        "worker_restarts": state.restarts,
        "pools": [asdict(pool) for pool in state.workers.pools()],
        "totals": state.recorder.totals().to_dict(),
        "transactions": state.transactions.totals(),
        "slow": {"count": state.slow.count, "errors": state.slow.errors},
        "guard": state.guard.summary(),
        "jobs": state.jobs.to_dict(),
        "store": state.store(),
    }


def activity(state: State, now: float | None = None) -> dict[str, Any]:
    """What sessions do, for JSON: `load` is average active sessions by kind of wait, of the last
    minute; `sessions` those of the last sample, `seconds` since each one's statement began.
    """
    seen = state.activity
    if seen is None:
        return {"sampled": False, "load": {}, "sessions": []}
    at = wall() if now is None else now
    return {
        "sampled": True,
        "load": {wait: round(sessions, 3) for wait, sessions in seen.load().items()},
        "sessions": [_session(state, session, at) for session in seen.sessions],
    }


def _session(state: State, session: Session, now: float) -> dict[str, Any]:
    number = session.fingerprint
    return {
        "pid": session.pid,
        "state": session.state,
        "wait": session.wait if session.active else "",
        "fingerprint": fingerprint_hex(number) if number else "",
        "query": state.recorder.book.known(number).text if number else "",
        "database": session.database,
        "user": session.user,
        "application": session.application,
        "seconds": round(max(now - session.since, 0.0), 3) if session.since else None,
        "blocked_by": list(session.blocked_by),
        "lock_mode": session.lock_mode,
        "lock_object": session.lock_object,
    }


def no_backend(pools: Sequence[PoolSnapshot]) -> str:
    """Why these pools can serve nobody: none has a server connection that works; "" if one has."""
    if not pools:
        return "No pool is open yet."
    if any(pool.sv_active or pool.sv_idle for pool in pools):
        return ""
    return "No pool has a server connection that works."
