"""`dbopt top`: what the server and the gateway do now, in a terminal."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator

import click
from rich.live import Live

from dbopt.cli.context import Context, print_json
from dbopt.cli.history import ask
from dbopt.cli.status import base_url
from dbopt.cli.topscreen import SORTS, Look, frame_of, screen
from dbopt.errors import ConnectError

_STATEMENTS = 200


@click.command()
@click.option(
    "--interval", type=click.FloatRange(0.1, 3600), default=2.0, show_default=True,
    help="Seconds between two looks.",
)  # fmt: skip
@click.option(
    "--sort", type=click.Choice([words for _, words in SORTS.values()]), default="time",
    show_default=True, help="What statements are sorted by.",
)  # fmt: skip
@click.option("--once", is_flag=True, help="Print one frame, of one interval.")
@click.option("--json", "as_json", is_flag=True, help="Print one frame as JSON.")
@click.pass_obj
def top(context: Context, interval: float, sort: str, once: bool, as_json: bool) -> None:
    """Watch load, pools, statements and sessions, as the running daemon sees them.

    Load is average active sessions of the last minute by what they wait for. Of statements those
    are shown that ran in the last interval; their load is how many of them ran at a time. Press q
    to quit, and t, c, m, e or r to sort. Exits 3 when no daemon answers.

    \b
    Examples:
      dbopt top
      dbopt top --interval 5 --sort calls
      dbopt top --once
      dbopt top --json | jq '.statements[0]'
    """
    base = base_url(context.settings.http)
    key = next(key for key, (_, words) in SORTS.items() if words == sort)
    before = look(base)
    if as_json or once or not context.console.is_terminal:
        time.sleep(interval)
        frame = frame_of(before, look(base), key)
        if as_json:
            print_json(frame)
        else:
            context.console.print(screen(frame, context.console.height, " "))
        return
    _watch(context, base, interval, before, key)


def look(base: str) -> Look:
    """Ask the daemon at a URL for all that a frame needs. Raises ConnectError."""
    return Look(
        at=time.monotonic(),
        status=ask(base, "/status"),
        activity=ask(base, "/activity"),
        statements=ask(base, "/statements", order="recent", limit=_STATEMENTS),
        slow=ask(base, "/slow", limit=5),
    )


def _watch(context: Context, base: str, interval: float, before: Look, key: str) -> None:
    console, note = context.console, "A first interval passes…"
    now = before
    with _keys() as pressed, Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(screen(frame_of(before, now, key), console.height, note), refresh=True)
            deadline = time.monotonic() + interval
            while (left := deadline - time.monotonic()) > 0:
                found = pressed(left)
                if found in ("q", "Q", "\x03", "\x04"):
                    return
                if found in SORTS:
                    key = found
                    frame = frame_of(before, now, key)
                    live.update(screen(frame, console.height, note), refresh=True)
            try:
                before, now, note = now, look(base), ""
            except ConnectError as error:
                # A daemon that is restarted comes back: the last frame stays.
                note = error.message


Pressed = Callable[[float], str]


@contextlib.contextmanager
def _keys() -> Iterator[Pressed]:
    """Inside, keys come one by one: a function that waits so long for one, "" for none."""
    if not sys.stdin.isatty():
        yield _asleep
        return
    handle = sys.stdin.fileno()
    before = termios.tcgetattr(handle)
    tty.setcbreak(handle)

    def pressed(seconds: float) -> str:
        ready, _, _ = select.select([handle], [], [], seconds)
        return os.read(handle, 1).decode("ascii", "replace") if ready else ""

    try:
        yield pressed
    finally:
        termios.tcsetattr(handle, termios.TCSADRAIN, before)


def _asleep(seconds: float) -> str:
    time.sleep(seconds)
    return ""
