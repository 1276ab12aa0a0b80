"""Large shared_buffers without huge pages: much memory goes for page tables, in each connection."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import MB, size
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    buffers = health.number("shared_buffers") or 0.0
    status = health.text("huge_pages_status") or health.text("huge_pages")  # the status: since 17
    if buffers >= limits.huge_pages * MB and status == "off":
        yield RULE.says(
            Severity.INFO,
            "huge_pages",
            f"They are not used for {size(buffers)} of shared_buffers.",
            "Set vm.nr_hugepages (postgres -C shared_memory_size_in_huge_pages tells how many).",
            shared_buffers=int(buffers),
            status=status,
        )


RULE = Rule("huge-pages", "Settings", __doc__, _find, settings=("huge_pages",))
