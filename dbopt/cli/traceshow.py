"""One statement's story for a terminal of any width from 60 columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dbopt.cli.slow import slow_table
from dbopt.cli.tracestory import Story
from dbopt.pg.shown import printable
from dbopt.stats.report.numbers import count, duration, share, size

BARS = " ▁▂▃▄▅▆▇█"
_CHART = 60
_OTHER = "0" * 16
_BEYOND = "(all statements beyond trace.max_fingerprints, and what has no text, together)"
_MOST_NAMES = 5
_BLOCK = 8192
_SHOWN_PLAN = 40


def show_story(console: Console, story: Story) -> None:
    """Print it all, the most telling first."""
    told = story.to_dict()
    _head(console, told)
    _latency(console, story)
    _who(console, story)
    _server(console, story.server)
    _waits(console, story.waits)
    if story.slow:
        _title(console, "Slowest")
        console.print(slow_table(story.slow, alone=True))
    _plans(console, story)
    _say(console, "\nNext: `dbopt index advise` proves indexes for it; `dbopt query lint` reads "
                  "its text.", "dim")  # fmt: skip


def _head(console: Console, told: dict[str, Any]) -> None:
    complexity = told["complexity"]
    judged = f", complexity {complexity['grade']} {complexity['score']}" if complexity else ""
    kind = "other" if told["fingerprint"] == _OTHER else told["kind"] or "unknown"
    _say(console, f"Statement {told['fingerprint']}: {kind}{judged}", "bold")
    unknown = _BEYOND if kind == "other" else "(its text is not known)"
    _say(console, " ".join(told["query"].split()) or unknown)
    if complexity and complexity["reasons"]:
        reasons = sorted(complexity["reasons"], key=lambda one: -one["points"])[:_MOST_NAMES]
        words = ", ".join(f"{one['what']} ({one['points']})" for one in reasons)
        _say(console, f"Score: {words}", "dim")
    if told["source"] == "daemon":
        _say(console, "No store: what the running daemon remembers since its start.", "yellow")


def _latency(console: Console, story: Story) -> None:
    sums = story.sums
    if not sums["calls"]:
        _say(console, "\nThe gateway has not seen it in this time.")
        return
    calls = sums["calls"]
    _title(console, "Calls")
    _say(
        console,
        f"{calls:,} calls, {duration(sums['total_us'])} in all, "
        f"{duration(sums['total_us'] / calls)} each; {count(sums['rows'])} rows, "
        f"{sums['errors']:,} errors, {size(sums['sent_bytes'])} sent.",
    )
    _say(console, _split(sums))
    if story.timeline:
        console.print(chart("calls", [one["calls"] for one in story.timeline], "number"))
        means = [one["total_us"] / one["calls"] for one in story.timeline]
        console.print(chart("mean", means))
        console.print(chart("p95", [one["p95_us"] for one in story.timeline]))
        first, last = (story.timeline[at]["at"] for at in (0, -1))
        _say(console, f"       {_local(first)} to {_local(last)}", "dim")


def _split(sums: dict[str, int]) -> str:
    whole = max(sums["total_us"], 1)
    server = max(sums["total_us"] - sums["queue_us"] - sums["transfer_us"], 0)
    parts = {"queue": sums["queue_us"], "server": server, "transfer": sums["transfer_us"]}
    return "Of that " + ", ".join(f"{name} {share(us / whole)}" for name, us in parts.items()) + "."


def chart(name: str, values: Sequence[float], unit: str = "us") -> Text:
    """A line of bars, the tallest as high as the largest value, which is named."""
    step = max(1, -(-len(values) // _CHART))
    means = [
        sum(values[at : at + step]) / len(values[at : at + step])
        for at in range(0, len(values), step)
    ]
    largest = max(means, default=0.0)
    bars = "".join(BARS[round(value / largest * 8) if largest else 0] for value in means)
    most = duration(largest) if unit == "us" else count(largest)
    return Text.assemble(f"{name:>5}  ", (bars, "cyan"), f"  at most {most}")


def _who(console: Console, story: Story) -> None:
    for dimension, names in story.who.items():
        known = {name: sums for name, sums in names.items() if sums["calls"]}
        if not known or set(known) == {""}:
            continue
        whole = sum(sums["total_us"] for sums in known.values()) or 1
        first = sorted(known.items(), key=lambda row: -row[1]["total_us"])[:_MOST_NAMES]
        words = ", ".join(
            f"{name or '(none)'} {share(sums['total_us'] / whole)}" for name, sums in first
        )
        rest = f", and {len(known) - len(first)} more" if len(known) > len(first) else ""
        _say(console, f"{dimension.capitalize()}s: {words}{rest}.")


def _server(console: Console, server: dict[str, int]) -> None:
    calls = server.get("calls", 0)
    if not calls:
        return
    _title(console, "pg_stat_statements")
    hit, read = server.get("shared_blks_hit", 0), server.get("shared_blks_read", 0)
    cached = f", {share(hit / (hit + read))} from cache" if hit + read else ""
    parts = [
        f"{calls:,} calls, {duration(server.get('total_exec_us', 0) / calls)} each",
        f"{count(server.get('rows', 0) / calls)} rows each",
        f"{size((hit + read) * _BLOCK / calls)} read each{cached}",
    ]
    for name, words, factor in (
        ("temp_blks_written", "temporary", _BLOCK),
        ("wal_bytes", "WAL", 1),
    ):
        if server.get(name):
            parts.append(f"{size(server[name] * factor / calls)} {words} each")
    _say(console, "; ".join(parts) + ".")


def _waits(console: Console, waits: dict[str, int]) -> None:
    if not waits:
        return
    whole = sum(waits.values())
    first = sorted(waits.items(), key=lambda wait: -wait[1])[:_MOST_NAMES]
    _title(console, "Waits")
    _say(console, ", ".join(f"{wait} {share(seen / whole)}" for wait, seen in first)
         + f" of {whole:,} sample{'s' if whole != 1 else ''}.")  # fmt: skip


def _plans(console: Console, story: Story) -> None:
    if not story.plans:
        return
    _title(console, "Plans")
    table = Table(box=None, pad_edge=False)
    for name in ("Shape", "Seen", "Cost", "Best", "Worst", "Last seen"):
        table.add_column(name, justify="left" if name == "Shape" else "right", no_wrap=True)
    for plan in story.plans:
        table.add_row(
            Text(printable(plan["shape"])), f"{plan['times']:,}", _cost(plan["cost"]),
            _ms(plan["best_ms"]), _ms(plan["worst_ms"]), _local(plan["last_seen"]),
        )  # fmt: skip
    console.print(table)
    for change in story.changes[:_MOST_NAMES]:
        _say(console, f"{_local(change['at'])}: {change['message']}", "yellow")
    lines: Iterable[str] = story.plans[0]["lines"][:_SHOWN_PLAN]
    for line in lines:
        console.print(Text(printable(line)), style="dim", soft_wrap=True)


def _cost(cost: float | None) -> str:
    return "?" if cost is None else count(cost)


def _ms(milliseconds: float | None) -> str:
    return "?" if milliseconds is None else duration(milliseconds * 1e3)


def _local(moment: str) -> str:
    return f"{datetime.fromisoformat(moment).astimezone():%m-%d %H:%M}"


def _title(console: Console, words: str) -> None:
    console.print(Text(f"\n{words}", style="bold"))


def _say(console: Console, words: str, style: str = "") -> None:
    # Names and texts come from clients: Text takes no markup from them.
    console.print(Text("\n".join(map(printable, words.split("\n"))), style=style))
