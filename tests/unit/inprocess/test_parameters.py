from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from dbopt.inprocess.parameters import LONGEST, shown_parameters


class Lazy:
    def __repr__(self) -> str:
        raise AssertionError("the application's code was run")


class Text(str):
    __slots__ = ()

    def __repr__(self) -> str:
        raise AssertionError("the application's code was run")


@pytest.mark.parametrize(
    ("params", "shown"),
    [
        ((1, "a'b", None, True, b"x"), "(1, \"a'b\", None, True, b'x')"),
        ({"id": 7, "on": date(2026, 1, 2)}, "{'id': 7, 'on': datetime.date(2026, 1, 2)}"),
        ([Decimal("1.5"), 2.5], "[Decimal('1.5'), 2.5]"),
        ((1,), "(1,)"),
        ((Lazy(), [Text("x")]), "(<Lazy>, [<Text>])"),
        (([[[[1]]]],), "([[<list>]],)"),
        ((1 << 10**6,), "(<int>,)"),
        (Lazy(), "<Lazy>"),
    ],
)
def test_what_is_shown(params: Any, shown: str) -> None:
    assert shown == shown_parameters(params)


def test_much_is_cut_before_it_is_written() -> None:
    shown = shown_parameters((b"x" * 10_000_000, *range(10**6)))
    assert shown.startswith("(b'xxx")
    assert shown.endswith("47, 48, ...)")
    assert LONGEST == len(shown_parameters(["x" * 1000] * 100))
