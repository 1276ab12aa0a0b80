"""--strict-skips, run on a small suite of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run_pytest(directory: Path, body: str, *options: str) -> subprocess.CompletedProcess[str]:
    (directory / "test_small.py").write_text(f"import pytest\n\n{body}\n")
    command = [sys.executable, "-m", "pytest", "-p", "tests.fix_skips", "-p", "no:cacheprovider"]
    command += ["--rootdir", str(directory), *options, str(directory)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


MISSING = "def test_it():\n    pytest.skip('missing: psql')"
MISSING_MODULE = "pytest.skip('missing: psql', allow_module_level=True)"
NOT_MEANT = "def test_it():\n    pytest.skip('needs PostgreSQL >= 16, this is 15')"


@pytest.mark.parametrize("body", [MISSING, MISSING_MODULE])
def test_missing_fails_the_run(tmp_path: Path, body: str) -> None:
    done = run_pytest(tmp_path, body + "\ndef test_other(): pass", "--strict-skips")
    assert done.returncode == 1
    assert "missing: psql" in done.stdout


def test_missing_fails_with_workers(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, MISSING, "--strict-skips", "-n1")
    assert done.returncode == 1
    assert done.stdout.count("missing: psql") >= 1


def test_missing_is_let_pass_without_the_option(tmp_path: Path) -> None:
    assert run_pytest(tmp_path, MISSING).returncode == 0


def test_other_skips_pass(tmp_path: Path) -> None:
    assert run_pytest(tmp_path, NOT_MEANT, "--strict-skips").returncode == 0
