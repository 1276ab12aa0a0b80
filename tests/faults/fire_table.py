"""The tables of faults and outcomes, and of the moments at which runs were killed."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from tests.faults.fire_load import Suffered
from tests.faults.fire_scene import Ended

HEAD = (
    "| Fault | Tool | Struck | Exit codes | End state | Errors of the application"
    " | Longest wait for a lock (s) | Slowest statement (s) | Seconds |\n|-|-|-|-|-|-|-|-|-|"
)
KILLED_HEAD = "| Killed while | Times |\n|-|-|"


@dataclass(frozen=True)
class Outcome:
    """One row. `runs` one after the other; `wrong` is what is not as declared after the last.

    `struck`: whether the fault was met. `others`: errors of the application beside its load.
    """

    fault: str
    tool: str
    struck: bool
    runs: tuple[Ended, ...]
    wrong: tuple[str, ...]
    suffered: Suffered
    others: tuple[str, ...] = ()

    def line(self) -> str:
        """The row in Markdown."""
        errors = [f"{n} x {code}" for code, n in sorted(self.suffered.errors.items())]
        cells = (
            self.fault,
            self.tool,
            "yes" if self.struck else "not met",
            _codes([ended.code for ended in self.runs]),
            "; ".join(self.wrong) or "as declared",
            ", ".join([*errors, *self.others]) or "none",
            f"{self.suffered.longest_lock_wait:.2f}",
            f"{self.suffered.slowest:.2f}",
            f"{sum(ended.seconds for ended in self.runs):.1f}",
        )
        return "| " + " | ".join(cells) + " |"


def killed_table(moments: Counter[str]) -> str:
    """Where the kills have struck."""
    rows = [f"| {where} | {times} |" for where, times in sorted(moments.items())]
    return "\n".join([KILLED_HEAD, *rows])


def unexplained(ended: Ended) -> list[str]:
    """What a run that ended otherwise than well, and was not killed, has failed to say.

    Each failure names what happened and what to do next.
    """
    if ended.code <= 0:
        return []
    if ended.code in {130, 143}:
        words = ("Stopped", "Run again")
        return [f"it does not say {word!r}" for word in words if word not in ended.err]
    found = ended.json() if ended.out.startswith("{") else {}
    failed = found.get("failed", [])
    wrong = [
        f"{one['name']}: no {what}"
        for one in failed
        for what in ("message", "remedy")
        if not one[what].strip()
    ]
    if failed:
        return wrong
    if "error" in found:
        # One sentence says what happened, the next what to do.
        return [] if re.search(r"[.:;)] [A-Z]", found["error"]) else ["its error has no remedy"]
    told = " ".join(ended.err.split())
    late = "that were given were over: it waited for"
    return [f"it does not say {word!r}" for word in (late, "Run again") if word not in told]


def _codes(codes: list[int]) -> str:
    """Many are counted."""
    if len(codes) < 6:
        return ", ".join(map(str, codes))
    return ", ".join(f"{codes.count(code)} x {code}" for code in sorted(set(codes)))
