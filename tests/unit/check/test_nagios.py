from __future__ import annotations

import re

import pytest

from dbopt.check import nagios
from dbopt.sql.findings import Finding, Severity
from tests.unit.check.test_run import NAMES, outcome


def one(severity: Severity, message: str = "Bad.") -> Finding:
    return Finding("fsync", severity, "fsync", message)


@pytest.mark.parametrize(
    ("findings", "code", "word"),
    [
        ((), 0, "OK"),
        ((one(Severity.INFO),), 0, "OK"),
        ((one(Severity.WARNING), one(Severity.INFO)), 1, "WARNING"),
        ((one(Severity.WARNING), one(Severity.CRITICAL)), 2, "CRITICAL"),
        ((Finding("jit", Severity.INFO, "x", "x", examined=False),), 0, "OK"),
        (tuple(Finding(n, Severity.INFO, "x", "x", examined=False) for n in NAMES), 3, "UNKNOWN"),
    ],
)
def test_codes(findings: tuple[Finding, ...], code: int, word: str) -> None:
    assert code == nagios.code(outcome(*findings))
    assert nagios.line(outcome(*findings)).startswith(f"DBOPT {word} - ")


def test_the_line_and_its_performance_data() -> None:
    measures = {"oldest_xid_age": (2_000_000_000, ""), "oldest_transaction": (1.5, "s")}
    done = outcome(one(Severity.CRITICAL), seconds=0.25, measures=measures)
    assert (
        "DBOPT CRITICAL - 1 critical, 0 warnings, 80 rules fine, 0 not examined: fsync fsync: Bad. "
        "| critical=1;;0;0 warning=0;0;;0 info=0;;;0 not_examined=0;;;0 "
        "oldest_xid_age=2000000000;;;0 oldest_transaction=1.5s;;;0 time=0.250s;;;0"
    ) == nagios.line(done)


def test_it_is_one_line_with_one_bar_whatever_a_name_holds() -> None:
    line = nagios.line(outcome(*[one(Severity.WARNING, "a|b\nc\x1b[31m")] * 5))
    assert line.count("|") == 1
    assert line.isprintable()
    assert "and 2 more" in line
    assert "DBOPT UNKNOWN - a/b c" == nagios.unknown("a|b\nc")


def test_performance_data_is_as_plugins_give_it() -> None:
    data = nagios.line(outcome(measures={"slot_retained": (5, "B")})).split(" | ")[1]
    for word in data.split(" "):
        assert re.fullmatch(r"\w+=[\d.]+(s|B)?;\d*;\d*;\d*", word)
