"""Alembic's entry: all that happens is in `dbopt.migrate.environment`."""

from __future__ import annotations

from typing import cast

from alembic import context
from alembic.runtime.environment import EnvironmentContext

from dbopt.migrate.environment import run

run(cast(EnvironmentContext, context))
