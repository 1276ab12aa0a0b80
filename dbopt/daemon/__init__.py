"""The daemon: what the parts need of each other is bound here."""

from __future__ import annotations

from dbopt.daemon.sidecar import Daemon, serve

__all__ = ["Daemon", "serve"]
