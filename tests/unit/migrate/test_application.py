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


def test_both_files_as_the_pyproject_template_has_them(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.alembic]\nscript_location = "%(here)s/db"\n')
    (tmp_path / "alembic.ini").write_text("[alembic]\nsqlalchemy.url = postgresql://db/app\n")
    for path in (tmp_path, tmp_path / "alembic.ini", tmp_path / "pyproject.toml"):
        found = application_config(path)
        assert found.get_alembic_option("script_location") == str(tmp_path / "db")
        assert found.get_main_option("sqlalchemy.url") == "postgresql://db/app"


def test_a_section_of_another_name(tmp_path: Path) -> None:
    (tmp_path / "alembic.ini").write_text("[shop]\nscript_location = %(here)s/db\n")
    found = application_config(tmp_path, section="shop")
    assert found.get_alembic_option("script_location") == str(tmp_path / "db")
    assert found.cmd_opts is not None
    assert found.cmd_opts.name == "shop"
    with pytest.raises(UsageError, match=r"holds no alembic\.ini"):
        application_config(tmp_path)


def test_an_ini_beside_the_env_py_as_flask_migrate_has_it(tmp_path: Path) -> None:
    (tmp_path / "alembic.ini").write_text("[alembic]\nfile_template = %%(rev)s\n")
    (tmp_path / "env.py").write_text("")
    for path in (tmp_path, tmp_path / "alembic.ini"):
        found = application_config(path)
        assert found.get_main_option("script_location") == str(tmp_path)
        assert found.get_main_option("file_template") == "%(rev)s"


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
