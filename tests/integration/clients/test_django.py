"""Django's ORM on psycopg 3: migrations, queries, server-side cursors, transactions, threads."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.clients.routes import Both, Route

pytest.importorskip("django", reason="missing: django")

APPLICATION = str(Path(__file__).with_name("django_app.py"))


@pytest.mark.parametrize("options", [(), ("--bind", "--pool")])
def test_application(both: Both, options: tuple[str, ...]) -> None:
    def scenario(route: Route) -> dict[str, Any]:
        done = route.run(sys.executable, APPLICATION, *options)
        assert (0, "") == (done.code, done.err), done.err
        found: dict[str, Any] = json.loads(done.out)
        return found

    found = both(scenario)
    assert "shop_item" in found["migrate"][0]
    assert [1000, ["item 0", "item 1", "item 2", "item 3"]] == found["fill"]
    assert [1000, [1, 2, 3], "124878.00", "item 14"] == found["iterate"]
    assert [False, "23505", "23505", "committed", ["inner"]] == found["transact"]
    assert [7, ["2024-01-01 00:00:00+00:00", ["UTC", "50s"]]] == found["at_once"][7]
