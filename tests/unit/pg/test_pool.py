"""The session options of the control process's connections."""

from __future__ import annotations

import pytest

from dbopt.errors import ConfigError
from dbopt.pg.pool import control_pool, session_options
from dbopt.settings import Stats


def test_options() -> None:
    expected = (
        "-c search_path=pg_catalog -c TimeZone=UTC -c DateStyle=ISO"
        " -c statement_timeout=2500 -c lock_timeout=1000"
        " -c idle_in_transaction_session_timeout=7500"
    )
    assert expected == session_options("", 2.5)
    assert session_options("-c geqo=off", 2.5) == f"-c geqo=off {expected}"


def test_a_pool_is_made_closed_and_small() -> None:
    pool = control_pool("host=127.0.0.1 options='-c geqo=off'", Stats())
    assert pool.closed
    assert (pool.min_size, pool.max_size) == (1, 4)
    assert isinstance(pool.kwargs, dict)
    assert pool.kwargs["options"].startswith("-c geqo=off -c search_path=pg_catalog")
    assert pool.kwargs["application_name"] == "dbopt"


def test_a_bad_dsn_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        control_pool("password=secret nonsense", Stats())
    assert "secret" not in str(caught.value)
