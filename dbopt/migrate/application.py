"""The Alembic environment of an application: where its configuration is, and what it says."""

from __future__ import annotations

import io
import tomllib
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from alembic.config import Config

from dbopt.errors import UsageError

INI, TOML = "alembic.ini", "pyproject.toml"


def application_config(path: Path, arguments: Sequence[str] = ()) -> Config:
    """Alembic's configuration from an alembic.ini, a pyproject.toml, or a directory.

    A directory is one that holds either of them, or the env.py itself. `arguments` are those of
    `alembic -x`. Raises UsageError where there is none.
    """
    if not path.exists():
        raise UsageError(f"{path}: there is no such file or folder.")
    file = path
    if path.is_dir():
        named = [path / INI, path / TOML]
        file = next((one for one in named if one.is_file() and _is_configuration(one)), path)
    if file.is_dir():
        if not (file / "env.py").is_file():
            raise UsageError(
                f"{path}: holds no {INI}, no {TOML} with [tool.alembic], and no env.py.",
                hint="Give the alembic.ini, or the folder of env.py.",
            )
        made = Config(stdout=io.StringIO())
        # Config is a ConfigParser, to which % is special.
        made.set_main_option("script_location", str(file.absolute()).replace("%", "%%"))
        made.set_main_option("path_separator", "os")
    elif not _is_configuration(file):
        raise UsageError(f"{path}: is no configuration of Alembic.", hint="Give the alembic.ini.")
    elif file.suffix == ".toml":
        made = Config(toml_file=str(file), stdout=io.StringIO())
    else:
        made = Config(str(file), stdout=io.StringIO())
    made.cmd_opts = Namespace(x=list(arguments) or None)
    return made


def _is_configuration(file: Path) -> bool:
    try:
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".toml":
            return "alembic" in tomllib.loads(text).get("tool", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return False
    return "[alembic]" in text
