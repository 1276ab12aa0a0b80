"""What the HTTP application shows: bound in the daemon, shaped here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from msgspec.structs import asdict

from dbopt.metrics import Metrics
from dbopt.observation import PoolSnapshot
from dbopt.trace.jobs import Jobs
from dbopt.trace.plans import CapturedPlan
from dbopt.trace.recorder import Recorder
from dbopt.trace.slow import SlowLog
from dbopt.trace.workers import Workers

Address = tuple[str, int]


class Plans(Protocol):
    """dbopt.trace.plans.PlanCapture."""

    def latest(self, fingerprint: int) -> CapturedPlan | None:
        """The latest plan of a statement."""
        ...


class GuardView(Protocol):
    """dbopt.guard.control.GuardControl."""

    def to_dict(self, limit: int = 50) -> dict[str, Any]:
        """Modes, rules, the newest decisions, totals, quarantine."""
        ...

    def summary(self) -> dict[str, Any]:
        """The mode, and how many statements were refused, or would have been."""
        ...


class State(Protocol):
    """What the daemon has. `gateway` is ("", 0) without TCP; `uptime` is seconds."""

    version: str
    metrics: Metrics
    recorder: Recorder
    slow: SlowLog
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
        "slow": {"count": state.slow.count, "errors": state.slow.errors},
        "guard": state.guard.summary(),
        "jobs": state.jobs.to_dict(),
        "store": state.store(),
    }


def no_backend(pools: Sequence[PoolSnapshot]) -> str:
    """Why these pools can serve nobody: none has a server connection that works; "" if one has."""
    if not pools:
        return "No pool is open yet."
    if any(pool.sv_active or pool.sv_idle for pool in pools):
        return ""
    return "No pool has a server connection that works."
