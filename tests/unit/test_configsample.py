"""The sample configuration: what the repository has, and what each line of it does."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from dbopt.configfile import load
from dbopt.configsample import sample
from dbopt.errors import ConfigError
from dbopt.settings import NAMED, NAMED_TABLE, TABLE, Setting, Settings
from dbopt.tomlplaces import Places

ROOT = Path(__file__).parents[2]
KEYS = pytest.mark.parametrize("setting", TABLE.values(), ids=lambda setting: setting.key)

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(text: str) -> Path:
        path = tmp_path / "config.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return written


def test_the_sample_is_the_repositorys_configuration() -> None:
    assert sample() == (ROOT / "config.toml").read_text(encoding="utf-8")


def test_the_sample_as_it_is_changes_nothing(write: Write) -> None:
    assert Settings() == load(write(sample()))


def test_the_sample_with_every_line_switched_on_gives_the_defaults(write: Write) -> None:
    text = re.sub(r"^# (?=\w+ = )", "", sample(), flags=re.MULTILINE)

    document = tomllib.loads(text)
    assert list(TABLE) == [f"{s}.{n}" for s, names in document.items() for n in names]
    assert Settings() == load(write(text))


@KEYS
def test_each_key_of_the_sample_is_found_on_its_line(setting: Setting, write: Write) -> None:
    text = re.sub(r"^# (?=\w+ = )", "", sample(), flags=re.MULTILINE)
    line = Places(text).line(setting.section, setting.name)
    assert text.splitlines()[line - 1].startswith(f"{setting.name} = ")

    lines = text.splitlines()
    lines[line - 1] = f"{setting.name} = {{}}"
    path = write("\n".join(lines))
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}:{line}: {setting.key}: found ")


def test_the_sample_with_the_examples_switched_on_too(write: Write) -> None:
    text = re.sub(r"^# ?(?=\[|\w+ = )", "", sample(), flags=re.MULTILINE)

    settings = load(write(text))

    assert [["app"]] * 4 == [list(getattr(settings, kind)) for kind in NAMED]
    assert "observe" == settings.routes["app"].guard_mode
    assert ("db1.internal,db2.internal", 20) == (
        settings.databases["app"].host, settings.databases["app"].max_size,
    )  # fmt: skip
    assert (20, 0.5) == (settings.users["app"].max_size, settings.applications["app"].weight)


def test_the_sample_names_every_key_of_the_sections_of_many() -> None:
    for kind, table in NAMED_TABLE.items():
        example = sample().split(f"[{kind}.app]")[1]
        for name in table:
            assert re.search(rf"\b{name}\b", example), f"{kind}.{name}"


def test_no_line_of_the_sample_is_a_secret_of_somebody() -> None:
    secrets = [s for table in NAMED_TABLE.values() for s in table.values() if s.secret]
    assert ["databases.NAME.dsn", "databases.NAME.password"] == [s.key for s in secrets]
    assert '#password = "…"' in sample()
