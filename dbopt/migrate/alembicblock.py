"""Alembic's autocommit block, made so that one may stand inside another: both are the same one.

Each operation enters a block, and a revision may hold one around several. Alembic has no such
thing: online it fails, and offline it prints COMMIT and BEGIN twice. Importing this module makes
`MigrationContext.autocommit_block` remember, since offline nothing else tells that it is in one.

Source: Alembic's `MigrationContext.autocommit_block`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from weakref import WeakSet

from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError

from dbopt.errors import MigrationRefused

_alembics = MigrationContext.autocommit_block
_inside: WeakSet[MigrationContext] = WeakSet()

_NOT_ITS_OWN = str(
    MigrationRefused(
        "Alembic does not own the transaction that is open, so no index can be built.",
        hint="In env.py run nothing on the connection before context.configure(), and begin the "
        "transaction with context.begin_transaction().",
    )
)
"""What Alembic says with an AssertionError that has no words."""


@contextmanager
@wraps(_alembics)
def _block(context: MigrationContext) -> Iterator[None]:
    """As Alembic's; inside another one it does nothing."""
    if context in _inside:
        yield
        return
    with ExitStack() as stack:
        try:
            stack.enter_context(_alembics(context))
        except AssertionError:
            raise CommandError(_NOT_ITS_OWN) from None
        _inside.add(context)
        stack.callback(_inside.discard, context)
        yield


MigrationContext.autocommit_block = _block  # type: ignore[method-assign, assignment]
