from __future__ import annotations

import pytest

from tests.unit.cli.calls import Call


def test_json_needs_once(call: Call) -> None:
    result = call("demo", "--json")
    assert (2, "") == (result.code, result.out)
    assert "Error: --json needs --once.\n" in result.err


@pytest.mark.parametrize(
    "words",
    [("--scale", "0"), ("--seconds", "0.5"), ("--clients", "0"), ("--keep", __file__)],
    ids=" ".join,
)
def test_what_it_does_not_take(call: Call, words: tuple[str, ...]) -> None:
    result = call("demo", "--once", *words)
    assert (2, "") == (result.code, result.out)
    assert f"Invalid value for '{words[0]}'" in result.err
