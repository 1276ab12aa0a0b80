from __future__ import annotations

from dbopt import resources


def test_the_shipped_directories_are_found() -> None:
    assert (resources.directory("migrations") / "env.py").is_file()
    assert list(resources.directory("indexes").glob("*.sql"))
