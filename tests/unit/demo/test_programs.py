from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

from dbopt.demo import programs
from dbopt.demo.programs import Programs, embedded_bin_dir, unprivileged_account
from dbopt.errors import ConfigError


def make_program(directory: Path, name: str, body: str) -> Path:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def test_ordinary_user_needs_no_other_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert unprivileged_account() is None


def test_root_without_any_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(programs, "ACCOUNTS", ("no-such-account",))
    with pytest.raises(ConfigError, match="useradd"):
        unprivileged_account()


def test_root_takes_the_first_account_that_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(programs, "ACCOUNTS", ("no-such-account", "nobody"))
    account = unprivileged_account()
    assert account is not None
    assert account.name == "nobody"


def test_wheel_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"pip install 'dbopt\[embedded\]'"):
        embedded_bin_dir()


def test_program_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="initdb is not in"):
        Programs(tmp_path).path("initdb")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("postgres (PostgreSQL) 18.6", "18.6"),
        ("postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)", "15.13"),
        ("postgres (PostgreSQL) 19beta1", "19beta1"),
    ],
)
def test_version(tmp_path: Path, line: str, expected: str) -> None:
    make_program(tmp_path, "postgres", f"echo '{line}'")
    assert Programs(tmp_path).version() == expected


def test_version_that_is_none(tmp_path: Path) -> None:
    make_program(tmp_path, "postgres", "echo hello")
    with pytest.raises(ConfigError, match="version"):
        Programs(tmp_path).version()


def test_failure_tells_the_exit_and_the_output(tmp_path: Path) -> None:
    make_program(tmp_path, "initdb", "echo 'no space' >&2; exit 3")
    with pytest.raises(ConfigError, match=r"initdb failed \(exit 3\): no space"):
        Programs(tmp_path).run("initdb")


def test_surroundings_are_neutral(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c jit=on")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    make_program(tmp_path, "show", 'echo "$PGOPTIONS|$LC_ALL|$PWD"')
    assert Programs(tmp_path).run("show") == "|C|/\n"


def test_can_write(tmp_path: Path) -> None:
    assert Programs(tmp_path).can_write(tmp_path)
    assert not Programs(tmp_path).can_write(tmp_path / "none")
