from __future__ import annotations

import io

from rich.console import Console, RenderableType

from dbopt.check import render
from dbopt.check.rules import RULES
from dbopt.sql.findings import Finding, Severity
from tests.unit.check.test_run import outcome


def shown(what: RenderableType, width: int = 80) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=False).print(what)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def bad(severity: Severity, object: str = "fsync", rule: str = "fsync") -> Finding:
    return Finding(rule, severity, object, "Is bad.", {}, f"MEND {object};")


def test_nothing_found() -> None:
    assert [f"0 critical, 0 warnings, {len(RULES)} rules fine, 0 not examined"] == shown(
        render.terminal(outcome())
    )


def test_by_severity_the_gravest_first() -> None:
    blind = [Finding(rule, Severity.INFO, "server", "Hidden.", {}, "GRANT it;", examined=False)
             for rule in ("deadlocks", "connections")]  # fmt: skip
    done = outcome(bad(Severity.WARNING, "a", "jit"), bad(Severity.CRITICAL), *blind, ignored=2)
    assert [
        "CRITICAL",
        "  fsync fsync: Is bad.",
        "    MEND fsync;",
        "WARNING",
        "  jit a: Is bad.",
        "    MEND a;",
        "NOT EXAMINED",
        "  deadlocks, connections: Hidden.",
        "    GRANT it;",
        "1 critical, 1 warning, 77 rules fine, 2 not examined, 2 ignored",
    ] == shown(render.terminal(done))


def test_many_of_one_rule_are_cut() -> None:
    done = outcome(*[bad(Severity.INFO, f"t{n}") for n in range(9)])
    lines = shown(render.terminal(done))
    assert 5 == sum("MEND" in line for line in lines)
    assert "  fsync: 4 more; --json shows all" in lines


def test_it_fits_80_columns_and_no_name_commands_the_terminal() -> None:
    done = outcome(bad(Severity.WARNING, "\x1b[31m[bold]" + "long " * 40 + "x" * 200))
    lines = shown(render.terminal(done))
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in "".join(lines)
    assert "[bold]" in "".join(lines)


def test_the_list_documents_every_rule() -> None:
    listed = "\n".join(shown(render.listed(RULES), 120))
    document = render.markdown(RULES)
    for rule, row in zip(RULES, render.to_list(RULES), strict=True):
        assert rule.name in listed
        assert f"| {rule.name} | " in document
        assert rule.name == row["rule"]
        for name in rule.settings:
            assert name in listed
            assert f"{name} = " in document


def test_no_cell_of_the_document_breaks_its_table() -> None:
    rows = [line for line in render.markdown(RULES).splitlines() if line.startswith("| ")]
    assert {4} == {line.count("|") for line in rows}
