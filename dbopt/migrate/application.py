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
SECTION = "alembic"
"""Of the alembic.ini, unless `alembic --name` says another."""


def application_config(path: Path, arguments: Sequence[str] = (), section: str = SECTION) -> Config:
    """Alembic's configuration from an alembic.ini, a pyproject.toml, or a directory.

    A directory is one that holds either of them, or both as Alembic's template "pyproject" has it,
    or the env.py itself. `arguments` are those of `alembic -x`, `section` that of `alembic -n`.
    Raises UsageError where there is none.
    """
    if not path.exists():
        raise UsageError(f"{path}: there is no such file or folder.")
    folder = path if path.is_dir() else path.parent
    ini = folder / INI if path.is_dir() or path.suffix == ".toml" else path
    toml = folder / TOML if path.suffix != ".toml" else path
    if path.is_file() and not _is_configuration(path, section):
        raise UsageError(f"{path}: is no configuration of Alembic.", hint="Give the alembic.ini.")
    own_ini = str(ini) if _is_configuration(ini, section) else None
    own_toml = str(toml) if _is_configuration(toml, section) else None
    if not (own_ini or own_toml) and not (folder / "env.py").is_file():
        raise UsageError(
            f"{path}: holds no {INI}, no {TOML} with [tool.alembic], and no env.py.",
            hint="Give the alembic.ini, or the folder of env.py.",
        )
    made = Config(own_ini, own_toml, ini_section=section, stdout=io.StringIO())
    # Flask-Migrate's alembic.ini lies beside the env.py, and leaves out where that is.
    if (folder / "env.py").is_file() and not made.get_alembic_option("script_location"):
        # Config is a ConfigParser, to which % is special.
        made.set_main_option("script_location", str(folder.absolute()).replace("%", "%%"))
        if not made.get_alembic_option("path_separator"):
            made.set_main_option("path_separator", "os")
    made.cmd_opts = Namespace(x=list(arguments) or None, name=section)
    return made


def _is_configuration(file: Path, section: str) -> bool:
    try:
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".toml":
            return "alembic" in tomllib.loads(text).get("tool", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return False
    return f"[{section}]" in text
