"""What the kernel knows of a process: CPU time and memory, from /proc."""

from __future__ import annotations

import os
import re
import resource
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Cpu:
    """CPU time so far: all of it in ns (exact), its two parts in clock ticks (10 ms, coarse)."""

    total_ns: int = 0
    user_ticks: int = 0
    system_ticks: int = 0

    def since(self, before: Cpu) -> tuple[float, float]:
        """User and system seconds. The ticks only say how the exact sum is divided."""
        total = (self.total_ns - before.total_ns) / 1e9
        user = self.user_ticks - before.user_ticks
        ticks = user + self.system_ticks - before.system_ticks
        share = user / ticks if ticks else 0.0
        return total * share, total * (1 - share)


def cpu(pid: int) -> Cpu:
    """CPU time of a process with all its threads; nothing for pid 0."""
    if not pid:
        return Cpu()
    # schedstat counts one thread each; its first number is the time on a CPU in ns.
    total = sum(
        int(task.joinpath("schedstat").read_text().split()[0])
        for task in Path(f"/proc/{pid}/task").iterdir()
    )
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return Cpu(total, int(fields[11]), int(fields[12]))


def parent(pid: int) -> int:
    """The process that started it."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def rss_kb(pid: int) -> int:
    """Resident memory, exact."""
    return kilobytes(Path(f"/proc/{pid}/smaps_rollup").read_text(), "Rss")


def pss_kb(pid: int) -> int:
    """Resident memory, where what n processes share counts an n-th for each."""
    return kilobytes(Path(f"/proc/{pid}/smaps_rollup").read_text(), "Pss")


def reset_peak(pid: int) -> int:
    """Make the present resident memory the peak (proc(5), clear_refs 5); gives it in kB."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return peak_kb(pid)


def peak_kb(pid: int) -> int:
    """The highest resident memory since `reset_peak`."""
    return kilobytes(Path(f"/proc/{pid}/status").read_text(), "VmHWM")


def kilobytes(text: str, name: str) -> int:
    """The number of the line `Name:   123 kB`."""
    found = re.search(rf"^{name}:\s+(\d+) kB$", text, re.MULTILINE)
    if found is None:
        raise ValueError(f"no {name} in {text[:200]!r}")
    return int(found[1])


def percentile(ordered: list[int], share: float) -> int:
    """The exact quantile of sorted values by the nearest rank."""
    rank = -(-len(ordered) * round(share * 10_000) // 10_000)
    return ordered[max(rank, 1) - 1]


def may_open(files: int) -> bool:
    """Raise the limit of open files to `files`, for us and for whom we start from now on."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= files:
        return True
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, max(hard, files)))
    except (OSError, ValueError):
        return False
    return True


def model() -> str:
    """The processor's name."""
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else os.uname().machine


def memory_mb() -> int:
    """The machine's memory."""
    return kilobytes(Path("/proc/meminfo").read_text(), "MemTotal") // 1024
