"""Every column that the report asks of a view is one that its collector gives."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dbopt.stats.collectors import VIEWS
from dbopt.stats.report import relations, server, sessions
from dbopt.stats.report.reading import VIEWS as WANTED
from dbopt.stats.report.statements import IO_TIMES, JIT_TIMES
from dbopt.stats.report.timeline import NEEDED
from dbopt.trace.history import LATENCY, POOLS, POOLS_NOW, REPEATED, TRACED, TRANSACTIONS

COLLECTED = {view.name: frozenset(view.columns) for view in VIEWS}
OURS = {
    "traced": frozenset((*TRACED, *LATENCY)), "transactions": frozenset(TRANSACTIONS),
    "repeated": frozenset(REPEATED), "pools": frozenset((*POOLS, *POOLS_NOW)),
    "waits": frozenset(("samples",)), "blocking": frozenset(("samples",)),
}  # fmt: skip
ALL = frozenset().union(*COLLECTED.values())
_ASKED = re.compile(r"\.(?:get|n|gauge|growth)\(\s*\"(\w+)\"")


def test_every_view_is_collected() -> None:
    assert set(WANTED) <= COLLECTED.keys() | OURS.keys()


@pytest.mark.parametrize("view", sorted(NEEDED))
def test_charts(view: str) -> None:
    assert NEEDED[view] <= (COLLECTED | OURS)[view]


@pytest.mark.parametrize("module", [relations, server, sessions], ids=lambda m: m.__name__)
def test_tables(module: object) -> None:
    asked = set(_ASKED.findall(Path(str(module.__file__)).read_text()))  # type: ignore[attr-defined]
    labels = {"schemaname", "relname", "samples"}
    assert set() == asked - ALL - labels


def test_statements() -> None:
    text = Path(relations.__file__).with_name("statements.py").read_text()
    asked = set(re.findall(r"sums\.get\(\"(\w+)\"", text)) | set(IO_TIMES) | set(JIT_TIMES)
    assert set() == asked - COLLECTED["statements"]
