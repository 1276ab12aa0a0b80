"""How the workers share the files."""

from __future__ import annotations

from pathlib import Path

import pytest
from xdist.scheduler import LoadFileScheduling

from tests import fix_workers
from tests.fix_workers import DEAREST, FIRST, TOGETHER, Files

ROOT = Path(__file__).parents[2]


class Item:
    def __init__(self, nodeid: str) -> None:
        self.nodeid = nodeid


class Config:
    workerinput: object = None


@pytest.mark.parametrize("name", [*TOGETHER, *DEAREST, *FIRST])
def test_what_is_named_is_there(name: str) -> None:
    assert list(ROOT.glob(f"{name.rstrip('/')}*"))


def test_the_dearest_come_first_and_a_file_stays_as_it_is() -> None:
    ids = [
        "tests/unit/test_clock.py::test_b",
        "tests/unit/test_clock.py::test_a",
        "tests/integration/test_web.py::test_it",
        "tests/integration/test_demo.py::test_z",
        "tests/integration/test_demo.py::test_a",
    ]
    items = [Item(nodeid) for nodeid in ids]
    fix_workers.pytest_collection_modifyitems(Config(), items)  # type: ignore[arg-type]
    assert [ids[3], ids[4], ids[2], ids[0], ids[1]] == [item.nodeid for item in items]


def test_without_workers_the_order_is_pytests_own() -> None:
    items = [Item("tests/unit/test_a.py::test_a"), Item("tests/integration/test_demo.py::test_a")]
    fix_workers.pytest_collection_modifyitems(object(), items)  # type: ignore[arg-type]
    assert "tests/unit/test_a.py::test_a" == items[0].nodeid


def test_files_that_share_a_server_go_to_one_worker() -> None:
    assert issubclass(Files, LoadFileScheduling)
    files = Files.__new__(Files)
    assert "tests/unit/test_clock.py" == files._split_scope(
        "tests/unit/test_clock.py::test_a[b::c]"
    )
    names = {files._split_scope(f"{path}::test_it") for path in TOGETHER}
    assert set(TOGETHER.values()) == names
