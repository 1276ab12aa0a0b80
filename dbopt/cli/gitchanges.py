"""Which files have changed since a Git revision: what a pull request is linted for."""

from __future__ import annotations

import subprocess
from pathlib import Path

from dbopt.errors import UsageError

_LONGEST = 60.0
"""Seconds that a call of git may take."""


def changed(since: str) -> frozenset[Path]:
    """The files, resolved, that differ from the merge base with a revision.

    Those that are not committed and not added yet are among them. Raises UsageError where that
    cannot be told: no Git, no repository, no such revision, a clone without its history.
    """
    commit = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{since}^{{commit}}")
    if not commit:
        raise UsageError(
            f"{since}: is no revision of this Git repository.",
            hint="A shallow clone lacks it: fetch the whole history (fetch-depth: 0).",
        )
    base = _git("merge-base", commit, "HEAD")
    if not base:
        raise UsageError(
            f"{since}: has no merge base with HEAD here.",
            hint="A shallow clone lacks it: fetch the whole history (fetch-depth: 0).",
        )
    top = Path(_git("rev-parse", "--show-toplevel"))
    names = _git("-C", str(top), "diff", "--name-only", "-z", "--diff-filter=d", base).split("\0")
    names += _git(
        "-C", str(top), "ls-files", "-z", "--others", "--exclude-standard"
    ).split("\0")  # fmt: skip
    return frozenset((top / name).resolve() for name in names if name)


def _git(*words: str) -> str:
    """What git prints, "" where it fails. UsageError without git or a repository."""
    try:
        done = subprocess.run(  # noqa: S603 - a list of words, no shell
            ["git", *words],  # noqa: S607 - whichever git the user has
            capture_output=True,
            check=False,
            timeout=_LONGEST,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"--since: git cannot be run ({type(error).__name__}).") from None
    if b"not a git repository" in done.stderr:
        raise UsageError("--since: this is no Git repository.", hint="Run it in one.")
    text = done.stdout.decode("utf-8", "surrogateescape")
    return text.strip("\n") if done.returncode == 0 else ""
