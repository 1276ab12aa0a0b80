from __future__ import annotations

import pytest

from dbopt.sql.typedparams import cast_typed_parameters


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now() - interval $1", "now() - $1::interval"),
        ("interval $1 + INTERVAL  $22", "$1::interval + $22::INTERVAL"),
        ("date $1, timestamptz $2", "$1::date, $2::timestamptz"),
        ("SELECT date FROM t WHERE date = $1", "SELECT date FROM t WHERE date = $1"),
        ("interval '1 day'", "interval '1 day'"),
        ("interval", "interval"),
        ("$1", "$1"),
        ("", ""),
    ],
)
def test_a_parameter_after_a_type_is_cast(text: str, expected: str) -> None:
    assert cast_typed_parameters(text) == expected
