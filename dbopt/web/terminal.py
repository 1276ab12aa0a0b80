"""What /statements answers, as a table for a terminal: one line a statement at any width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from dbopt.pg.shown import printable


def statements_table(statements: Sequence[dict[str, Any]], title: str | None = None) -> Table:
    """The statements in the order given. Times are milliseconds; the query is cut to fit."""
    table = Table(title=title, title_justify="left", box=None, expand=True)
    table.add_column("Fingerprint", no_wrap=True)
    table.add_column("Query", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column("Kind", no_wrap=True)
    for name in ("Calls", "Mean", "p95 ms", "Score"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in statements:
        table.add_row(*_row(one))
    return table


def _row(one: dict[str, Any]) -> list[Text]:
    complexity = one["complexity"]
    cells = (
        one["fingerprint"],
        # Names and texts come from clients: Text takes no markup from them.
        " ".join(one["query"].split()),
        one["kind"],
        f"{one['calls']:,}",
        f"{one['mean_ms']:,.1f}",
        f"{one['p95_ms']:,.1f}",
        f"{complexity['grade']} {complexity['score']}" if complexity else "",
    )
    return [Text(printable(cell)) for cell in cells]
