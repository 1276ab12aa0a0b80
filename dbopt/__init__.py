"""dbopt: a PostgreSQL sidecar that pools, traces, judges, advises, migrates and verifies.

For applications: the traced pools and `route`, see docs/in-process.md. They are imported when
they are first used, so that `import dbopt` loads nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dbopt.inprocess.pool import TracedConnectionPool, TracedNullConnectionPool
    from dbopt.inprocess.pool_async import AsyncTracedConnectionPool, AsyncTracedNullConnectionPool
    from dbopt.inprocess.route import route

__version__ = "0.1.0"

__all__ = [
    "AsyncTracedConnectionPool",
    "AsyncTracedNullConnectionPool",
    "TracedConnectionPool",
    "TracedNullConnectionPool",
    "__version__",
    "route",
]

_WHERE = {
    "AsyncTracedConnectionPool": "pool_async",
    "AsyncTracedNullConnectionPool": "pool_async",
    "TracedConnectionPool": "pool",
    "TracedNullConnectionPool": "pool",
    "route": "route",
}


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module 'dbopt' has no attribute {name!r}")
    from importlib import import_module

    found: object = getattr(import_module(f"dbopt.inprocess.{_WHERE[name]}"), name)
    globals()[name] = found
    return found
