"""The progress of a migration: bars on a terminal, lines elsewhere.

Looks come from the thread that watches a build, lines and steps from the one that works.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Protocol

import click
from rich import progress as bars
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.text import Text

from dbopt import clock
from dbopt.cli.context import shown
from dbopt.migrate.progress import Progress
from dbopt.migrate.steps import Step
from dbopt.pg.shown import printable

EVERY = 10.0
"""Seconds between two lines about one build: logs of deploys are read by people."""
SILENT = 60.0
"""Seconds without a line after which one comes though nothing is new: some end silent jobs."""


class Shown(Protocol):
    """What a run shows while it works."""

    def look(self, look: Progress) -> None:
        """How far a build is; from any thread."""

    def tell(self, line: str) -> None:
        """One line for people."""

    def step(self, number: int, total: int, step: Step) -> None:
        """Step `number` of `total`, from 1, begins."""

    def finish(self) -> None:
        """Nothing follows: bars go, so that a report can be printed."""


@contextmanager
def progress(console: Console) -> Iterator[Shown]:
    """Bars where `console` is a terminal, and they go when all is done; else lines on stderr.

    FORCE_COLOR makes no terminal of a log, and TERM=dumb moves no cursor.
    """
    if not (console.is_interactive and console.file.isatty()):
        yield Lines()
        return
    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(bar_width=None),
        bars.TaskProgressColumn(),
    )
    with _Bars(*columns, console=console, transient=True, expand=True) as live:
        yield live


def step_words(step: Step) -> str:
    """A step in words, for a line: `create users_email on users`."""
    return f"{step.action.value} {step.definition.name} on {step.definition.table}"


class Lines:
    """A line for each step, and one when a build's phase or blockers change, none sooner than
    EVERY after the one before, and one in SILENT at least."""

    def __init__(self, now: clock.Clock = clock.monotonic) -> None:
        self._now = now
        self._lock = Lock()
        self._said: tuple[object, ...] = ()
        self._at = float("-inf")

    def look(self, look: Progress) -> None:
        """See Shown."""
        news = (look.name, look.phase, look.part, tuple(one.pid for one in look.blockers))
        with self._lock:
            if self._now() - self._at < (SILENT if news == self._said else EVERY):
                return
            self._said, self._at = news, self._now()
        self.tell(f"{look.name}: {look.fraction:.0%}, {look.note}")

    def tell(self, line: str) -> None:
        """See Shown."""
        click.echo(printable(line), err=True)

    def step(self, number: int, total: int, step: Step) -> None:
        """See Shown."""
        with self._lock:
            self._at = float("-inf")
        self.tell(f"Step {number} of {total}: {step_words(step)}")

    def finish(self) -> None:
        """See Shown."""


class _Bars(bars.Progress):
    """All steps, the index that is being built, and below what it does or whom it waits for."""

    _all: bars.TaskID | None = None
    _one: bars.TaskID | None = None
    _name = _note = ""
    _done = 0

    def get_renderables(self) -> Iterable[RenderableType]:
        """The bars, then the note, whole: it may name several sessions."""
        yield self.make_tasks_table(self.tasks)
        if self._note:
            note = Text.from_markup(self._note, style="dim", overflow="fold")
            # As wide as its text: a ^C behind a full line begins another, which would stay.
            yield Padding(note, (0, 0, 0, 2), expand=False)

    def look(self, look: Progress) -> None:
        """See Shown."""
        with self._lock:
            if self._one is None or look.name != self._name:
                self._begin(look.name)
            if self._one is not None:
                self.update(self._one, completed=look.fraction)
            if self._all is not None:
                self.update(self._all, completed=self._done + look.fraction)
            self._note = shown(look.note)

    def tell(self, line: str) -> None:
        """See Shown."""
        self.console.print(shown(line))

    def step(self, number: int, total: int, step: Step) -> None:
        """See Shown."""
        with self._lock:
            self._done, self._note = number - 1, ""
            if total > 1:
                words = f"Step {number} of {total}"
                if self._all is None:
                    self._all = self.add_task(words, total=total)
                self.update(self._all, description=words, completed=self._done)
            self._begin(step.definition.name)

    def finish(self) -> None:
        """See Shown."""
        self._note = ""
        self.stop()

    def _begin(self, name: str) -> None:
        if self._one is not None:
            self.remove_task(self._one)
        self._one, self._name = self.add_task(shown(name), total=1), name
