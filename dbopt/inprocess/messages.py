"""What an in-process pool and the daemon say to each other: frames (dbopt.frames) on a unix socket.

The pool says Hello, the daemon Welcome or Refused; then the pool sends Reports.
"""

from __future__ import annotations

import msgspec

from dbopt.observation import Repeated, SlowStatement, StatementCount, TransactionCount

VERSION = 1
MAX_FRAME = 4 << 20
"""Bytes: the pool cuts what it reports into pieces that are well below."""


class Hello(msgspec.Struct, tag="hello", frozen=True):
    """Pool → daemon: who it is. `name` is the pool's."""

    version: int
    pid: int
    name: str


class Welcome(msgspec.Struct, tag="welcome", frozen=True):
    """Daemon → pool: its settings, which hold where the pool has none of its own.

    `slow` is trace.slow in milliseconds, `parameters` trace.parameters, `n_plus_one` its own.
    """

    version: int
    slow: float
    parameters: bool
    n_plus_one: int


class Refused(msgspec.Struct, tag="refused", frozen=True):
    """Daemon → pool: it takes no reports of it, and why."""

    reason: str


class Report(msgspec.Struct, tag="report", frozen=True):
    """Pool → daemon: what its connections ran since the last one.

    `lost` are slow statements and repetitions that there was no room for.
    """

    counts: list[StatementCount] = []
    slow: list[SlowStatement] = []
    transactions: list[TransactionCount] = []
    repeated: list[Repeated] = []
    lost: int = 0


ToDaemon = Hello | Report
ToPool = Welcome | Refused
