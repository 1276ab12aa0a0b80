"""What `dbopt top` shows: two looks at the daemon made into one frame, and the frame into text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dbopt.pg.shown import printable
from dbopt.stats.report.numbers import duration, number

_COLOURS = {
    "CPU": "green", "IO": "blue", "Lock": "red", "LWLock": "magenta", "Client": "yellow",
    "IPC": "cyan",
}  # fmt: skip
_BAR = 40
_MOST_POOLS = 5
SORTS: dict[str, tuple[str, str]] = {
    "t": ("load", "time"), "c": ("calls", "calls"), "m": ("mean_ms", "mean"),
    "e": ("errors", "errors"), "r": ("rows", "rows"),
}  # fmt: skip
"""What statements are sorted by, by the key that is pressed: a field, and its name."""


@dataclass(frozen=True, slots=True)
class Look:
    """What the daemon said at one moment (monotonic seconds)."""

    at: float
    status: Mapping[str, Any]
    activity: Mapping[str, Any]
    statements: Sequence[Mapping[str, Any]]
    slow: Sequence[Mapping[str, Any]]


def frame_of(before: Look, now: Look, sort: str = "t") -> dict[str, Any]:
    """What happened between two looks, for JSON. Rates are by second.

    A statement's `load` is how many of it ran at a time, on average.
    """
    seconds = max(now.at - before.at, 0.001)
    older = {one["fingerprint"]: one for one in before.statements}
    grown = [_grown(older.get(one["fingerprint"]), one, seconds) for one in now.statements]
    ran = [one for one in grown if one["calls"] > 0]
    field = SORTS[sort][0]
    sessions = now.activity["sessions"]
    totals, earlier = now.status["totals"], before.status["totals"]
    return {
        "version": now.status["version"],
        "uptime": now.status["uptime"],
        "seconds": round(seconds, 3),
        "statements_per_second": round((totals["calls"] - earlier["calls"]) / seconds, 1),
        "errors": sum(totals["errors"].values()) - sum(earlier["errors"].values()),
        "sampled": now.activity["sampled"],
        "load": now.activity["load"],
        "pools": _pools(before.status["pools"], now.status["pools"], seconds),
        "sort": SORTS[sort][1],
        "statements": sorted(ran, key=lambda one: float(one[field]), reverse=True),
        "blocking": _blocking(sessions),
        "blocked": [one for one in sessions if one["blocked_by"]],
        "longest": sorted(
            (one for one in sessions if one["seconds"] is not None and not one["blocked_by"]),
            key=lambda one: -float(one["seconds"]),
        ),
        "slow": list(now.slow),
    }


def _blocking(sessions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Who holds others up and waits for nobody; `blocks` sessions each, also by way of others."""
    waiting = {one["pid"]: one["blocked_by"] for one in sessions if one["blocked_by"]}
    blocks: dict[int, int] = {}
    for pid in waiting:
        met, ahead = {pid}, [pid]
        while ahead:
            new = set(waiting.get(ahead.pop(), ())) - met
            met |= new
            ahead += new
        for root in met - waiting.keys():
            blocks[root] = blocks.get(root, 0) + 1
    known = [{**one, "blocks": blocks[one["pid"]]} for one in sessions if one["pid"] in blocks]
    return sorted(known, key=lambda one: -one["blocks"])


def _grown(old: Mapping[str, Any] | None, new: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    def more(name: str) -> float:
        return float(new[name] - (old[name] if old else 0))

    calls, total_ms = more("calls"), more("total_ms")
    errors = sum(new["errors"].values()) - (sum(old["errors"].values()) if old else 0)
    return {
        "fingerprint": new["fingerprint"],
        "query": new["query"],
        "calls": round(calls),
        "calls_per_second": round(calls / seconds, 2),
        "load": round(total_ms / 1e3 / seconds, 4),
        "mean_ms": round(total_ms / calls, 3) if calls else 0.0,
        "rows": round(more("rows")),
        "errors": errors,
    }


def _pools(
    before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]], seconds: float
) -> list[dict[str, Any]]:
    older = {(one["database"], one["user"]): one for one in before}
    found = []
    for pool in now:
        old = older.get((pool["database"], pool["user"]), {})
        grown = pool["query_count"] - old.get("query_count", 0)
        kept = ("database", "user", "cl_active", "cl_waiting", "sv_active", "sv_idle", "max_size",
                "maxwait")  # fmt: skip
        found.append(
            {name: pool[name] for name in kept} | {"per_second": round(grown / seconds, 1)}
        )
    return sorted(found, key=lambda pool: -float(pool["per_second"]))


def screen(frame: Mapping[str, Any], height: int = 24, note: str = "") -> RenderableType:
    """The frame in at most `height` lines, and 80 columns if need be."""
    head = [_headline(frame), _load(frame)]
    pools = frame["pools"][:_MOST_POOLS]
    sessions = _sessions(frame)
    used = len(head) + len(pools) + 1 + (len(sessions) + 1 if sessions else 0) + 3
    shown = frame["statements"][: max(3, height - used)]
    parts: list[RenderableType] = [*head, _pool_table(pools), Text(""), _statement_table(shown)]
    if not shown:
        parts.append(Text("No statement passed in this interval.", style="dim"))
    if sessions:
        parts += [Text("Sessions", style="bold"), *sessions]
    keys = "  ".join(f"{key} {words}" for key, (_, words) in SORTS.items())
    parts.append(Text(note or f"q quit  sort by: {keys}", style="dim", no_wrap=True))
    return Group(*parts)


def _headline(frame: Mapping[str, Any]) -> Text:
    return Text(
        f"dbopt {frame['version']}, up {duration(frame['uptime'] * 1e6)} · "
        f"{number(frame['statements_per_second'])} statements/s · {frame['errors']} errors · "
        f"by {frame['sort']}",
        style="bold", no_wrap=True, overflow="ellipsis",
    )  # fmt: skip


def _load(frame: Mapping[str, Any]) -> Text:
    """Average active sessions by wait: a bar of colours, then figures."""
    load: Mapping[str, float] = frame["load"]
    if not frame["sampled"]:
        return Text("Load: sessions are not sampled (stats.sample_interval).", style="dim")
    whole = sum(load.values())
    line = Text(f"Load {whole:.2f} ", no_wrap=True, overflow="ellipsis")
    waits = sorted(load.items(), key=lambda wait: -wait[1])
    for wait, sessions in waits:
        line.append("█" * round(sessions / max(whole, 1.0) * _BAR), _COLOURS.get(wait, "white"))
    for wait, sessions in waits[:5]:
        line.append(f" {wait} {sessions:.2f}", _COLOURS.get(wait, "white"))
    return line


def _pool_table(pools: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, expand=True)
    table.add_column("Pool", no_wrap=True, overflow="ellipsis", ratio=1)
    columns: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "cl_active": lambda pool: str(pool["cl_active"]),
        "cl_waiting": lambda pool: str(pool["cl_waiting"]),
        "sv_active": lambda pool: f"{pool['sv_active']}/{pool['max_size']}",
        "sv_idle": lambda pool: str(pool["sv_idle"]),
        "maxwait": lambda pool: duration(pool["maxwait"] * 1e6),
        "per s": lambda pool: number(pool["per_second"]),
    }
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for pool in pools:
        waiting = "red" if pool["cl_waiting"] else ""
        pair = Text(printable(f"{pool['database']}/{pool['user']}"), style=waiting)
        table.add_row(pair, *(show(pool) for show in columns.values()))
    return table


def _statement_table(statements: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, expand=True)
    table.add_column("Fingerprint", no_wrap=True)
    for name in ("Load", "Calls/s", "Mean", "Err"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("Statement", no_wrap=True, overflow="ellipsis", ratio=1)
    for one in statements:
        table.add_row(
            Text(printable(one["fingerprint"])), f"{one['load']:.2f}",
            number(one["calls_per_second"]), duration(one["mean_ms"] * 1e3),
            Text(str(one["errors"] or ""), style="red"),
            Text(printable(" ".join(one["query"].split()))),
        )  # fmt: skip
    return table


def _sessions(frame: Mapping[str, Any], most: int = 5) -> list[Text]:
    """Who blocks, who is blocked, those that have run longest, then the latest slow statement."""
    lines = [
        _line("bold red", f"{one['pid']} blocks {one['blocks']}, {one['state']} {_age(one)}", one)
        for one in frame["blocking"][:2]
    ]
    lines += [
        _line("red", f"{one['pid']} waits {_age(one)} for {_pids(one)} ({one['lock_object']})", one)
        for one in frame["blocked"][: most - len(lines)]
    ]
    for one in frame["longest"][: max(0, 3 - len(lines))]:
        lines.append(_line("", f"{one['pid']} {one['wait'] or one['state']} {_age(one)}", one))
    for one in frame["slow"][:1]:
        failed = f" failed {one['sqlstate']}" if one["sqlstate"] else ""
        took = duration(one["duration_ms"] * 1e3)
        lines.append(_line("yellow", f"latest slow: {took}{failed}", one))
    return lines


def _line(style: str, words: str, one: Mapping[str, Any]) -> Text:
    shown = f"{words} · {one['user']}@{one['database']} · {' '.join(one['query'].split())}"
    return Text(printable(shown), style=style, no_wrap=True, overflow="ellipsis")


def _age(one: Mapping[str, Any]) -> str:
    return duration((one["seconds"] or 0.0) * 1e6)


def _pids(one: Mapping[str, Any]) -> str:
    return ", ".join(map(str, one["blocked_by"]))
