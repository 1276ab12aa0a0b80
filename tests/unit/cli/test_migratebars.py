from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from dbopt.cli.migratebars import EVERY, SILENT, Lines, progress
from dbopt.migrate.progress import Blocker, Progress
from dbopt.migrate.steps import Action, Step
from dbopt.sql.indexdef import IndexDefinition, IndexKey

LOOK = Progress("users_mail", "building index: scanning table", 0.25, eta=12.0)
BLOCKED = replace(LOOK, blockers=(Blocker(4711, "app", "psql", "idle in transaction", 720.0),))


class _Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def _step(name: str) -> Step:
    return Step(Action.CREATE, IndexDefinition(name, "", "users", "btree", (IndexKey("a"),)))


@pytest.mark.parametrize(
    ("screen", "environment"),
    [(io.StringIO(), {}), (io.StringIO(), {"FORCE_COLOR": "1"}), (_Screen(), {"TERM": "dumb"})],
)
def test_elsewhere_than_on_a_terminal_there_are_lines_on_stderr(
    screen: io.StringIO, environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with progress(Console(file=screen, _environ=environment)) as live:
        live.step(1, 2, _step("users_mail"))
        live.look(LOOK)
        live.tell("The server is back.")
        live.finish()

    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "Step 1 of 2: create users_mail on users",
        "users_mail: 25%, building index: scanning table, about 12 s left",
        "The server is back.",
    ]


def test_lines_come_when_something_changes_and_not_all_the_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    now = [0.0]
    lines = Lines(lambda: now[0])
    for second, look in [
        (0.0, LOOK),
        (1.0, BLOCKED),
        (EVERY - 0.1, BLOCKED),
        (EVERY, BLOCKED),
        (EVERY * 2, replace(BLOCKED, fraction=0.3)),
        (EVERY * 3, replace(LOOK, fraction=0.4)),
        (EVERY * 3 + SILENT - 1, replace(LOOK, fraction=0.5)),
        (EVERY * 3 + SILENT, replace(LOOK, fraction=0.55)),
    ]:
        now[0] = second
        lines.look(look)

    assert [line.partition(",")[0] for line in capsys.readouterr().err.splitlines()] == [
        "users_mail: 25%",
        "users_mail: 25%",
        "users_mail: 40%",
        "users_mail: 55%",
    ]


def test_a_name_commands_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    Lines().look(replace(LOOK, name="a\x1b[2J"))
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize("width", [80, 120])
def test_bars_show_the_step_the_index_and_whom_it_waits_for(width: int) -> None:
    screen = _Screen()
    console = Console(file=screen, width=width, force_terminal=True, color_system=None)
    with progress(console) as live:
        live.step(2, 3, _step("users_[mail]"))
        live.look(replace(BLOCKED, name="users_[mail]"))
        live.tell("Going on after [5] s.")
        console.print(live)
        live.finish()

    shown = screen.getvalue()
    assert "Step 2 of 3" in shown
    assert "users_[mail]" in shown
    assert "25%" in shown
    # The note is whole, if need be on two lines.
    assert "idle in transaction, its transaction 12 min old" in " ".join(shown.split())
    assert "Going on after [5] s." in shown


def test_one_step_alone_has_one_bar() -> None:
    screen = _Screen()
    with progress(Console(file=screen, width=80, force_terminal=True)) as live:
        live.step(1, 1, _step("a"))
        live.look(replace(LOOK, name="a"))
        live.finish()
    assert "Step 1" not in screen.getvalue()
