"""How xdist's workers share the tests: a file each, the dearest first.

A file in one worker makes what its tests share once: its gateway, its daemon, its servers. The
dearest first, so that at the end nobody waits for one long file. For `--dist loadfile`.
"""

from __future__ import annotations

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

TOGETHER = {
    "tests/integration/test_fix_tls.py": "tls",
    "tests/integration/test_gateway_tls.py": "tls",
    "tests/integration/test_server_tls.py": "tls",
    "tests/integration/test_server_tls_between.py": "tls",
}
"""Files that share a server, which each worker would start for itself."""
FIRST = ("tests/faults/", "tests/integration/", "tests/fuzz/", "tests/property/")
"""Where the dear files are: tests of the rest take milliseconds."""
DEAREST = (
    "tests/faults/test_index_faults.py",
    "tests/integration/test_demo.py",
    "tests/integration/differential/",
    "tests/integration/test_daemon",
    "tests/integration/test_benchmark",
    "tests/integration/test_index_apply_cli.py",
    "tests/integration/test_migrate_runner.py",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a worker: the order in which the files are handed out."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _rank(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    """Ours in the place of loadfile's own, which begins with the files of most tests."""
    if config.getvalue("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False
    return Files(config, log)


class Files(LoadFileScheduling):
    """Hands out a file, or several that belong together, at a time."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return TOGETHER.get(path, path)


def _rank(nodeid: str) -> int:
    places = (*DEAREST, *FIRST)
    found = (number for number, place in enumerate(places) if nodeid.startswith(place))
    return next(found, len(places))
