"""Django's PostgreSQL backend with a TracedConnectionPool for its own pool (Django 5.1 and later).

DATABASES = {"default": {"ENGINE": "dbopt.inprocess.django", "OPTIONS": {"pool": {...}}, ...}}

The options of "pool" are the pool's arguments. Source: django.db.backends.postgresql.base.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import (  # type: ignore[import-untyped,import-not-found,unused-ignore]
    ImproperlyConfigured,
)
from django.db.backends.postgresql import (  # type: ignore[import-untyped,import-not-found,unused-ignore]
    base,
)

from dbopt.inprocess.pool import TracedConnectionPool


class DatabaseWrapper(base.DatabaseWrapper):  # type: ignore[misc]
    """Django's; without "pool" in OPTIONS it has a pool all the same, of Django's default size."""

    @property
    def pool(self) -> TracedConnectionPool[Any]:
        """The alias's pool, made when it is first asked for and opened by the first connection."""
        pools: dict[str, Any] = self._connection_pools
        if self.alias not in pools:
            made = self._made()
            # As Django does: of several threads the first one's is taken; none is open yet.
            pools.setdefault(self.alias, made)
        found: TracedConnectionPool[Any] = pools[self.alias]
        return found

    def _made(self) -> TracedConnectionPool[Any]:
        if self.settings_dict.get("CONN_MAX_AGE", 0) != 0:
            raise ImproperlyConfigured("Pooling doesn't support persistent connections.")
        options: Any = self.settings_dict["OPTIONS"].get("pool")
        connect = self.get_connection_params()
        connect["autocommit"] = True  # Django sets it later on as it needs it.
        checks = self.settings_dict["CONN_HEALTH_CHECKS"]
        return TracedConnectionPool(
            kwargs=connect,
            open=False,
            configure=self._configure_connection,
            check=TracedConnectionPool.check_connection if checks else None,
            **(options if isinstance(options, dict) else {}),
        )
