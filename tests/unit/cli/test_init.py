from __future__ import annotations

import json
import shutil
from pathlib import Path

from dbopt import resources
from dbopt.configsample import sample
from tests.unit.cli.calls import Call

MADE = ["config.toml", "indexes", "migrations", "alembic.ini"]


def test_an_empty_directory(call: Call) -> None:
    result = call("init", ".")

    assert 0 == result.code
    assert [f"made {name}" for name in MADE] == result.out.splitlines()[:-1]
    assert sample() == Path("config.toml").read_text(encoding="utf-8")
    assert 0o600 == Path("config.toml").stat().st_mode & 0o777
    shipped = {p.name for p in (resources.directory("migrations") / "versions").glob("*.py")}
    assert shipped == {p.name for p in Path("migrations/versions").glob("*.py")}
    assert [] == list(Path().rglob("__pycache__"))
    assert "CREATE INDEX" in Path("indexes/README.md").read_text()


def test_the_same_again_changes_nothing(call: Call) -> None:
    call("init", ".")
    Path("config.toml").write_text("[trace]\nslow = 5\n")
    Path("alembic.ini").unlink()

    result = call("init", ".")

    assert "made alembic.ini" == result.out.splitlines()[0]
    assert "[trace]\nslow = 5\n" == Path("config.toml").read_text()
    assert ". already has all of it." == call("init", ".").out.splitlines()[0]


def test_revisions_that_an_older_dbopt_lacked_are_added(call: Call) -> None:
    call("init", ".")
    newest = max(Path("migrations/versions").glob("*.py"))
    newest.unlink()
    other = Path("migrations/versions/9999_own.py")
    other.write_text("")

    lacking = call("migrate", "history")

    assert (2, f"dbopt: migrate.directory: migrations lacks {newest.name}: an older dbopt has made "
        "it. `dbopt init .` adds what is missing.") == (lacking.code, lacking.line)  # fmt: skip
    assert f"made {newest}" == call("init", ".").out.splitlines()[0]
    assert (True, "") == (newest.exists(), other.read_text())
    shutil.rmtree("migrations/versions")
    call("init", ".")
    assert newest.exists()


def test_an_application_s_own_environment_is_let_be(call: Call) -> None:
    Path("migrations").mkdir()
    Path("migrations/env.py").write_text("from alembic import context\n")

    call("init", ".")

    assert ["env.py"] == [path.name for path in Path("migrations").iterdir()]


def test_a_new_directory_in_json(call: Call) -> None:
    document = json.loads(call("init", "a/b", "--json").out)
    assert {"directory": "a/b", "made": [f"a/b/{name}" for name in MADE]} == document
    assert 0 == call("-c", "a/b/config.toml", "config", "check").code


def test_a_file_in_the_way(call: Call) -> None:
    Path("file").touch()
    assert 2 == call("init", "file").code
    result = call("init", "file/below")
    assert 2 == result.code
    assert "dbopt: file/below: cannot be written: Not a directory. Give a directory that you may " \
        "write to." == result.line  # fmt: skip
