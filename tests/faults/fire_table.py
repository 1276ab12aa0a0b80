"""The table of faults and outcomes, one line a fault and tool."""

from __future__ import annotations

from dataclasses import dataclass

from tests.faults.fire_load import Suffered
from tests.faults.fire_scene import Ended

HEAD = (
    "| Fault | Tool | Exit codes | End state | Errors of the application"
    " | Longest wait for a lock (s) | Seconds |\n|-|-|-|-|-|-|-|"
)


@dataclass(frozen=True)
class Outcome:
    """One row. `runs` one after the other; `wrong` is what is not as declared after the last."""

    fault: str
    tool: str
    runs: tuple[Ended, ...]
    wrong: tuple[str, ...]
    suffered: Suffered

    def line(self) -> str:
        """The row in Markdown."""
        cells = (
            self.fault,
            self.tool,
            _codes([ended.code for ended in self.runs]),
            "; ".join(self.wrong) or "as declared",
            ", ".join(f"{n} x {c}" for c, n in sorted(self.suffered.errors.items())) or "none",
            f"{self.suffered.longest_lock_wait:.2f}",
            f"{sum(ended.seconds for ended in self.runs):.1f}",
        )
        return "| " + " | ".join(cells) + " |"


def _codes(codes: list[int]) -> str:
    """Many are counted."""
    if len(codes) < 6:
        return ", ".join(map(str, codes))
    return ", ".join(f"{codes.count(code)} x {code}" for code in sorted(set(codes)))
