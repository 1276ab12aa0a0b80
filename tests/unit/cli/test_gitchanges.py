from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from dbopt.cli.gitchanges import changed
from dbopt.errors import UsageError


def git(*words: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *words], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two files on main, then a branch that changes one, adds one and drops one."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.chdir(tmp_path)
    git("init", "-q", "-b", "main")
    for name in ("kept", "changed", "dropped"):
        Path(f"{name}.sql").write_text("SELECT 1;")
    git("add", ".")
    git("commit", "-q", "-m", "one")
    git("checkout", "-q", "-b", "work")
    Path("changed.sql").write_text("SELECT 2;")
    Path("sub dir").mkdir()
    Path("sub dir/näw.sql").write_text("SELECT 3;")
    git("rm", "-q", "dropped.sql")
    git("add", ".")
    git("commit", "-q", "-m", "two")
    return tmp_path


def test_changes_since_the_branch_left(repository: Path) -> None:
    git("checkout", "-q", "main")
    Path("kept.sql").write_text("SELECT 9;")
    git("commit", "-q", "-a", "-m", "three, on main alone")
    git("checkout", "-q", "work")
    assert {repository / "changed.sql", repository / "sub dir/näw.sql"} == changed("main")


def test_what_is_not_committed_and_not_added_counts_too(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("kept.sql").write_text("SELECT 9;")
    Path("new.sql").write_text("SELECT 9;")
    monkeypatch.chdir(repository / "sub dir")
    assert {repository / "kept.sql", repository / "new.sql"} == changed("HEAD")


@pytest.mark.parametrize("name", ["nothing", "--output=x", "HEAD:kept.sql"])
def test_no_revision(repository: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is no revision of this Git repository"):
        changed(name)
    assert not Path("x").exists()


def test_no_merge_base(repository: Path) -> None:
    git("checkout", "-q", "--orphan", "other")
    git("commit", "-q", "-m", "elsewhere")
    with pytest.raises(UsageError, match="has no merge base with HEAD"):
        changed("main")


def test_no_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(UsageError, match="is no Git repository"):
        changed("main")


def test_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="git cannot be run"):
        changed("main")
