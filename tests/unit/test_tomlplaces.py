"""The line of each key of a TOML file."""

from __future__ import annotations

import tomllib

import pytest

from dbopt.tomlplaces import Places


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ("", ("gateway", "port"), 1),
        ("a = 1", ("b",), 1),
        ("# x\n[gateway]\nport = 1", ("gateway",), 2),
        ("# x\n[gateway]\nport = 1", ("gateway", "port"), 3),
        ("# x\n[gateway]\nhost = 1", ("gateway", "port"), 2),
        ("# x\n# port = 1\nport = 1", ("port",), 3),
        ("a.b.c = 1\na.b.d = 2", ("a", "b", "d"), 2),
        ("a.b.c = 1\na.b.d = 2", ("a", "b"), 1),
        ("[a]\nb = 1\n[c]\nb = 2", ("c", "b"), 4),
        ("[a.b]\nc = 1\n[a.d]\nc = 2", ("a", "d", "c"), 4),
        ("[a.b]\nc = 1\n[a.d]\nc = 2", ("a", "d"), 3),
        ('[ a . "b.c" ]\nd = 1', ("a", "b.c", "d"), 2),
        ("[a]\n'b' = 1", ("a", "b"), 2),
        ('[a]\n"*" = {c = 1}', ("a", "*", "c"), 2),
        ('[a]\n"" = {c = 1}', ("a", "", "c"), 2),
        ("\n[[a]]\nb = 1", ("a",), 2),
        ("\ta = 1\n\tb = 2", ("b",), 2),
        ("a = 1\r\nb = 2\r\n", ("b",), 2),
        ("a = [\n1,\n]\nb = 2", ("b",), 4),
    ],
)
def test_where_it_is(text: str, path: tuple[str, ...], line: int) -> None:
    tomllib.loads(text)
    assert line == Places(text).line(*path)


@pytest.mark.parametrize(
    "line",
    [
        "a" * 500_000, ".".join("a" * 250_000), "[" * 500_000, '"' * 500_000, "\\" * 500_000,
        '"' + "\\" * 500_000, "'" + "a" * 500_000, " " * 500_000, "a " * 250_000,
        "a." * 250_000 + "a = 1",
    ],
    ids=range(10),
)  # fmt: skip
def test_a_line_of_half_a_megabyte_costs_little(line: str) -> None:
    assert 1 == Places(line).line("b")


def test_deep_keys_are_found_by_what_they_are_in() -> None:
    assert 2 == Places("\na.b.c.d.e.f = 1").line("a", "b", "c", "d", "e", "f")
