"""Collectors on a standby, and on the primary that feeds it."""

from __future__ import annotations

import psycopg
from psycopg.conninfo import conninfo_to_dict

from tests.fix_standby import Standby
from tests.integration.collectors_support import check_all, look, prepared, rows_of
from tests.support import wait_until


def test_a_standby_and_its_primary(pg_dsn: str, pg_standby: Standby) -> None:
    prepared(pg_dsn)
    pg_standby.catch_up()
    there = pg_standby.dsn(str(conninfo_to_dict(pg_dsn)["dbname"]))
    seen = look(there)
    check_all(seen)

    (receiver,) = seen["wal_receiver"].rows
    assert (receiver["status"], receiver["receiving"]) == ("streaming", 1)
    # The primary writes when it likes, so it may be a moment behind.
    wait_until(lambda: _behind(there) == (0, 0), what="it to have caught up")
    assert len(seen["database_conflicts"].rows) >= 1
    assert len(seen["recovery_prefetch"].rows) == 1
    assert seen["wal"].rows[0]["lsn_bytes"] > 0
    assert len(rows_of(seen["tables"], relname="item")) == 1
    assert "standby" in str(seen["tables"].findings)
    assert seen["archiver"].rows[0]["archiving"] == 0

    fed = look(pg_dsn, "replication")["replication"]
    (walsender,) = rows_of(fed, application_name="walreceiver")
    assert walsender["state"] == "streaming"
    assert walsender["replay_lag_bytes"] >= 0


def _behind(dsn: str) -> tuple[int, int]:
    (receiver,) = look(dsn, "wal_receiver")["wal_receiver"].rows
    return receiver["replay_lag_bytes"], receiver["replay_delay_us"]


def test_an_unlogged_sequence_is_no_error(pg_dsn: str, pg_standby: Standby) -> None:
    with psycopg.connect(pg_dsn, autocommit=True) as conn:
        conn.execute("CREATE UNLOGGED TABLE gone (id serial PRIMARY KEY)")
        conn.execute("INSERT INTO gone DEFAULT VALUES")
    pg_standby.catch_up()
    seen = look(
        pg_standby.dsn(str(conninfo_to_dict(pg_dsn)["dbname"])), "sequences", "table_storage"
    )
    (row,) = rows_of(seen["sequences"], relname="gone_id_seq")
    assert row["last_value"] is None
