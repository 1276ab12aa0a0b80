from __future__ import annotations

import pytest

from tests.unit.cli.calls import Call


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("server.dsn=nix", "server.dsn: is not a PostgreSQL connection string."),
        ("gateway.host=0.0.0.0", "--set: gateway.host: found "),
        ("gateway.port=x", "--set: gateway.port: found "),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_starts(
    call: Call, setting: str, said: str
) -> None:
    result = call("-s", setting, "serve")
    assert (2, "") == (result.code, result.out)
    assert result.line.startswith(f"dbopt: {said}")
