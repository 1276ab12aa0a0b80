"""What a setting says of itself, and what a section's class makes of it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from dbopt.setting import Setting, instead, option, settings_of


@dataclass(frozen=True, slots=True)
class All:
    size: int = option(2, "How many.", low=1, high=9)
    wait: float = option(0.5, "How long.", unit="s", low=0)


@dataclass(frozen=True, slots=True)
class One:
    name: str | None = option(None, "Whose.", secret=True, example="x")
    size: int | None = instead("all", All, "size")


def test_the_settings_of_a_section() -> None:
    assert [
        Setting("all", "size", int, 2, "How many.", low=1, high=9),
        Setting("all", "wait", float, 0.5, "How long.", unit="s", low=0),
    ] == list(settings_of("all", All))


def test_one_that_may_be_left_out_has_its_types_limits() -> None:
    doc = "Here instead of all.size: How many."
    assert [
        Setting("one.NAME", "name", str, None, "Whose.", secret=True, example="x"),
        Setting("one.NAME", "size", int, None, doc, low=1, high=9, instead="all.size", reload=True),
    ] == list(settings_of("one.NAME", One))


def test_key_and_environment() -> None:
    size, _ = settings_of("all", All)
    assert ("all.size", "DBOPT_ALL__SIZE") == (size.key, size.env)
    name, _ = settings_of("one.NAME", One)
    assert ("one.NAME.name", "") == (name.key, name.env)


def test_a_type_that_no_file_can_hold() -> None:
    @dataclass
    class Wrong:
        many: list[int]

    @dataclass
    class Two:
        either: int | str

    for cls in (Wrong, Two):
        with pytest.raises(TypeError, match="a setting cannot be"):
            list(settings_of("wrong", cls))
