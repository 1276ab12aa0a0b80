from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

from rich.console import Console

from dbopt.cli.indexplanshow import show
from dbopt.migrate.estimate import Estimate, key
from dbopt.migrate.steps import Action, Step
from dbopt.sql.findings import Finding, Severity
from dbopt.sql.indexdef import IndexDefinition, IndexKey

LONG = "orders_of_customers_who_came_back_within_a_month_idx"
QUIET = "SHARE UPDATE EXCLUSIVE on public.{}: no reader or writer waits"
LOUD = "SHARE on 2 partitioned tables for an instant: writers wait"


def _step(name: str, action: Action = Action.CREATE, reason: str = "", table: str = "t") -> Step:
    definition = IndexDefinition(name, "public", table, "btree", (IndexKey("a"),))
    return Step(action, definition, reason=reason)


def _shown(
    steps: Sequence[Step],
    *,
    width: int = 80,
    locks: Mapping[str, tuple[str, ...]] | None = None,
    findings: Sequence[Finding] = (),
    left_alone: Sequence[str] = (),
    present: int = 0,
) -> str:
    file = io.StringIO()
    estimates = {
        key(step.definition): Estimate(locks=(locks or {}).get(step.definition.name, ()))
        for step in steps
    }
    console = Console(file=file, width=width, force_terminal=False)
    show(console, steps, estimates, {}, findings, left_alone, present)
    return file.getvalue()


def test_no_name_is_cut() -> None:
    shown = _shown([_step(LONG, table="a_table_whose_name_is_about_as_long_as_names_may_be")])

    cells = [line.split("│")[2].strip() for line in shown.splitlines() if "│" in line]
    assert ("".join(cells), "…" in shown) == (LONG, False)


def test_what_is_alike_of_the_locks_is_said_once() -> None:
    steps = [_step(name, table=f"{name}_table") for name in "abc"]
    quiet = {name: (QUIET.format(f"{name}_table"),) for name in "abc"}

    assert _shown(steps, locks=quiet).splitlines()[-1] == (
        "Locks: SHARE UPDATE EXCLUSIVE, behind which no reader or writer waits."
    )
    loud = quiet | {"a": (*quiet["a"], LOUD), "c": (LOUD,)}
    assert [line.rstrip() for line in _shown(steps, locks=loud).splitlines()[-2:]] == [
        "Locks: SHARE UPDATE EXCLUSIVE, behind which no reader or writer waits, and",
        f"  {LOUD} (a, c)",
    ]


def test_without_changes_nothing_is_said_of_locks() -> None:
    assert _shown([], present=2) == "Nothing to do: 2 indexes as declared.\n"
    assert _shown([]) == "Nothing to do: index.directory declares no index.\n"


def test_reasons_stand_below_the_table_of_a_narrow_terminal_and_in_that_of_a_wide_one() -> None:
    steps = [_step("a"), _step("b", Action.RENAME, "it is called c")]

    assert "b: it is called c" in _shown(steps).splitlines()
    assert "│ it is called c │" in _shown(steps, width=130)
    # A column that nobody has anything for is none.
    assert "Waits for" not in _shown(steps, width=130)


def test_of_a_conflict_the_finding_says_why() -> None:
    finding = Finding("conflict", Severity.WARNING, "public.a", "Nothing is done: taken.")
    step = _step("a", Action.CONFLICT, "taken")
    found = _shown([step, _step("b"), _step("c", Action.BUSY)], findings=[finding], present=1)

    assert found.count("taken") == 1
    assert "1 conflict, 1 to create, 1 being built, 1 index as declared." in found


def test_a_remedy_can_be_copied_whole() -> None:
    remedy = "SELECT " + ", ".join(f"column_{n}" for n in range(20)) + ";"
    finding = Finding("duplicates", Severity.CRITICAL, "public.a", "Not unique.", remedy=remedy)

    assert f"  {remedy}" in _shown([_step("a")], findings=[finding]).splitlines()


def test_many_that_are_left_alone_are_counted() -> None:
    shown = _shown([], left_alone=[f"public.i{n}" for n in range(8)])

    assert "public.i4 and 3 more. --prune drops them." in shown


def test_what_is_said_of_many_names_a_few() -> None:
    findings = [
        Finding("old-transaction", Severity.INFO, f"public.i{n}", "It would wait for pid 7.")
        for n in range(9)
    ]
    (line,) = (
        line for line in _shown([], width=200, findings=findings).splitlines() if "pid" in line
    )

    assert line.endswith("public.i3, public.i4 and 4 more: It would wait for pid 7.")
