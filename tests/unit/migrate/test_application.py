from __future__ import annotations

from pathlib import Path

import pytest

from dbopt.errors import UsageError
from dbopt.migrate.application import application_config


def test_an_ini_or_the_folder_that_holds_it(tmp_path: Path) -> None:
    (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s/db\n")
    for path in (tmp_path / "alembic.ini", tmp_path):
        found = application_config(path).get_alembic_option("script_location")
        assert str(tmp_path / "db") == found


def test_a_pyproject(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.alembic]\nscript_location = "%(here)s/db"\n')
    for path in (tmp_path / "pyproject.toml", tmp_path):
        found = application_config(path).get_alembic_option("script_location")
        assert str(tmp_path / "db") == found


def test_the_folder_of_env_py(tmp_path: Path) -> None:
    where = tmp_path / "100%"
    where.mkdir()
    (where / "env.py").write_text("")
    assert str(where) == application_config(where).get_main_option("script_location")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("alembic.ini", "[other]\n"),
        ("pyproject.toml", "[tool.other]\n"),
        ("pyproject.toml", "no toml"),
        ("", ""),
    ],
)
def test_what_is_none(tmp_path: Path, name: str, text: str) -> None:
    if name:
        (tmp_path / name).write_text(text)
        with pytest.raises(UsageError, match="is no configuration of Alembic"):
            application_config(tmp_path / name)
    with pytest.raises(UsageError, match=r"holds no alembic\.ini"):
        application_config(tmp_path)


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such file or folder"):
        application_config(tmp_path / "alembic.ini")
