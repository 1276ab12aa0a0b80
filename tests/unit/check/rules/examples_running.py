"""Examples of rules on wraparound, sessions, vacuum, replication and capacity."""

from __future__ import annotations

from dbopt.pg.healthparts import (
    Archiver,
    Bloat,
    Checkpoints,
    Key,
    Prepared,
    Recovery,
    Replica,
    Role,
    Sequence,
    Slot,
    Subscription,
    Unidentified,
    Wait,
)
from dbopt.sql.findings import Severity
from tests.unit.check.builders import (
    GB,
    HOUR,
    MB,
    Example,
    database,
    health,
    server,
    session,
    table,
)

INFO, W, C = Severity.INFO, Severity.WARNING, Severity.CRITICAL

WRAPAROUND = (
    Example(
        "xid-wraparound", health(databases=database(xid_age=900_000_000)), W, "app",
        "vacuumdb --freeze --dbname=app", health(databases=database(xid_age=800_000_000)),
    ),
    Example("xid-wraparound", health(databases=database(xid_age=1_700_000_000)), C, "app"),
    Example(
        "multixact-wraparound", health(databases=database(mxid_age=1_700_000_000)), C, "app",
        "vacuumdb", health(databases=database(mxid_age=800_000_000)),
    ),
    Example(
        "freeze-age", health(tables=table(xid_age=300_000_001)), W, "public.t",
        "VACUUM (FREEZE, VERBOSE) public.t;", health(tables=table(xid_age=299_000_000)),
    ),
    Example(
        "freeze-age",
        health(tables=table(xid_age=3_000_000, options=("autovacuum_freeze_max_age=1000000",))),
        W, "public.t", "FREEZE",
        health(tables=table(xid_age=3_000_000, options=("autovacuum_freeze_max_age=2500000",))),
    ),
    Example("freeze-age", health(tables=table(mxid_age=700_000_000)), W, "public.t"),
    Example(
        "xmin-horizon", health(sessions=session(xmin_age=10_000_001)), W, "pid 11",
        "SELECT pg_terminate_backend(11);", health(sessions=session(xmin_age=9_000_000)),
    ),
    Example(
        "xmin-horizon", health(prepared=Prepared("it's", "app", "app", 1.0, 300_000_000)), C,
        "it's", "ROLLBACK PREPARED 'it''s';",
    ),
    Example(
        "xmin-horizon", health(slots=Slot("old", xmin_age=20_000_000)), W, "old",
        "SELECT pg_drop_replication_slot('old');",
    ),
    Example("xmin-horizon", health(replicas=Replica(9, "standby1", xmin_age=20_000_000)), W,
            "standby1", "long queries"),
)  # fmt: skip

_WAITS = (Wait(12, "ShareLock", "transactionid", "", 70.0), Wait(13, "AccessExclusiveLock",
          "relation", "public.t", 5.0))  # fmt: skip
_TREE = (
    session(11, state="idle in transaction", state_seconds=75.0),
    session(12, blocked_by=(11,), wait_type="Lock"),
    session(13, blocked_by=(12,), wait_type="Lock"),
)
SESSIONS = (
    Example(
        "blocking-locks", health(sessions=_TREE, waits=_WAITS), C, "pid 11",
        "SELECT pg_terminate_backend(11);", health(sessions=_TREE, waits=(Wait(12, "x", "y",
                                                                              "", 3.0),)),
    ),
    Example(
        "blocking-locks", health(sessions=(session(12, blocked_by=(0,), query_seconds=20.0),)), W,
        "pid 0", "pg_prepared_xacts",
    ),
    Example(
        "long-transactions", health(sessions=session(transaction_seconds=301.0)), W, "pid 11",
        "pg_terminate_backend(11)", health(sessions=session(transaction_seconds=299.0)),
    ),
    Example(
        "long-transactions", health(sessions=session(transaction_seconds=2 * HOUR)), C, "pid 11",
        quiet=health(sessions=session(transaction_seconds=2 * HOUR, query_seconds=2 * HOUR)),
    ),
    Example(
        "long-transactions", health(sessions=session(
            transaction_seconds=2 * HOUR, state="idle in transaction", state_seconds=1.0)), C,
        "pid 11", quiet=health(sessions=session(
            transaction_seconds=2 * HOUR, state="idle in transaction", state_seconds=100.0)),
    ),
    Example(
        "idle-in-transaction",
        health(sessions=session(state="idle in transaction", state_seconds=61.0)), W, "pid 11",
        "pg_terminate_backend(11)",
        health(sessions=session(state="idle in transaction", state_seconds=59.0)),
    ),
    Example(
        "idle-in-transaction",
        health(sessions=session(state="idle in transaction (aborted)", state_seconds=700.0)), C,
        "pid 11", quiet=health(sessions=session(state="idle", state_seconds=700.0)),
    ),
    Example(
        "long-queries", health(sessions=session(query_seconds=301.0)), W, "pid 11",
        "SELECT pg_cancel_backend(11);",
        health(sessions=session(kind="walsender", query_seconds=301.0)),
    ),
    Example("long-queries", health(sessions=session(query_seconds=5000.0)), C, "pid 11",
            quiet=health(sessions=session(state="idle", query_seconds=5000.0))),
    Example(
        "prepared-transactions", health(prepared=Prepared("g\\1", "app", "app", 61.0)), W, "g\\1",
        "ROLLBACK PREPARED E'g\\\\1';", health(prepared=Prepared("g", "app", "app", 59.0)),
    ),
    Example(
        "deadlocks", health(databases=database(deadlocks=151)), W, "app", "one order",
        health(databases=database(deadlocks=150)),
    ),
    Example(
        "connections", health(sessions=tuple(session(pid) for pid in range(77))), W, "server",
        "dbopt serve", health(sessions=tuple(session(pid) for pid in range(76))),
    ),
    Example("connections", health(sessions=tuple(session(pid) for pid in range(96))), C, "server"),
    Example(
        "connection-limits", health(roles=Role("app", connection_limit=1),
                                    sessions=session()), C, "role app",
        "ALTER ROLE app CONNECTION LIMIT 2;",
        health(roles=Role("app", connection_limit=2), sessions=session()),
    ),
    Example(
        "connection-limits", health(databases=database(connection_limit=10, sessions=8)), W,
        "database app", "ALTER DATABASE app CONNECTION LIMIT 20;",
        health(databases=database(connection_limit=-1, sessions=8)),
    ),
    Example(
        "idle-connections", health(sessions=tuple(session(p, state="idle") for p in range(51))),
        W, "server", "dbopt serve",
        health(sessions=tuple(session(p, state="idle") for p in range(50))),
    ),
)  # fmt: skip

_WORKERS = tuple(session(p, kind="autovacuum worker", doing="autovacuum: VACUUM public.t")
                 for p in range(3))  # fmt: skip
_DUE = tuple(table(name=f"t{n}", dead=11_000) for n in range(4))
VACUUM = (
    Example(
        "autovacuum-lag", health(tables=table(dead=20_101)), W, "public.t",
        "VACUUM (VERBOSE, ANALYZE) public.t;", health(tables=table(dead=20_099)),
    ),
    Example(
        "autovacuum-lag",
        health(tables=table(dead=12_000, options=("autovacuum_vacuum_scale_factor=0.01",))), C,
        "public.t", quiet=health(tables=table(dead=12_000)),
    ),
    Example(  # since 18 a large table is not let wait for a fifth of it
        "autovacuum-lag", health(tables=table(rows=2_000_000_000, dead=200_000_000)), W,
        "public.t", quiet=health({"autovacuum_vacuum_max_threshold": "-1"}, tables=table(
            rows=2_000_000_000, dead=200_000_000)),
    ),
    Example(
        "autovacuum-disabled", health(tables=table(options=("autovacuum_enabled=false",))), W,
        "public.t", "ALTER TABLE public.t RESET (autovacuum_enabled);",
        health(tables=table(options=("autovacuum_enabled=on",))),
    ),
    Example(
        "autovacuum-saturated", health(sessions=_WORKERS, tables=_DUE), W, "server",
        "autovacuum_vacuum_cost_limit", health(sessions=_WORKERS, tables=_DUE[:3]),
    ),
    Example(
        "autovacuum-blocked", health(
            sessions=session(20, kind="autovacuum worker", blocked_by=(11,)),
            waits=Wait(20, "ShareUpdateExclusiveLock", "relation", "public.t", 11.0)), W,
        "pid 20", "pg_terminate_backend(11)", health(
            sessions=session(20, kind="autovacuum worker", blocked_by=(11,)),
            waits=Wait(20, "ShareUpdateExclusiveLock", "relation", "public.t", 9.0)),
    ),
    Example(
        "never-vacuumed", health(tables=table(vacuumed_ago=None)), W, "public.t",
        "VACUUM (ANALYZE) public.t;", health(tables=table(vacuumed_ago=None, rows=9, live=9)),
    ),
    Example(
        "never-analyzed", health(tables=table(analyzed_ago=None)), W, "public.t",
        "ANALYZE public.t;", health(tables=table(analyzed_ago=None, rows=9, live=9)),
    ),
    Example(
        "stale-statistics", health(tables=table(modified=10_101)), W, "public.t",
        "ANALYZE public.t;", health(tables=table(modified=10_099)),
    ),
    Example(
        "table-bloat", health(bloat=Bloat("public", "t", 100_000, 40_000)), W, "public.t",
        "pgstattuple_approx('public.t')", health(bloat=Bloat("public", "t", 100_000, 60_000)),
    ),
    Example("table-bloat", health(bloat=Bloat("public", "t", 100_000, 10_000)), C, "public.t",
            quiet=health(bloat=Bloat("public", "t", 10_000, 1_000))),
    Example("table-bloat", health(bloat=Bloat("public", "t", 100_000, 10_000, odd=True)), INFO,
            "public.t"),
)  # fmt: skip

_STANDBY = server(in_recovery=True)
REPLICATION = (
    Example(
        "slot-inactive", health(slots=Slot("old", active=False, inactive_seconds=301.0)), W, "old",
        "SELECT pg_drop_replication_slot('old');",
        health(slots=Slot("old", active=False, inactive_seconds=299.0)),
    ),
    Example("slot-inactive", health(slots=Slot("old", active=False)), W, "old", quiet=health(
        server=_STANDBY, slots=Slot("old", "logical", active=False))),
    Example(
        "slot-wal", health(slots=Slot("s", retained_bytes=GB)), W, "s", "max_slot_wal_keep_size",
        health(slots=Slot("s", retained_bytes=GB - 1)),
    ),
    Example("slot-wal", health(slots=Slot("s", retained_bytes=11 * GB)), C, "s"),
    Example("slot-lost", health(slots=Slot("s", wal_status="lost")), C, "s", "drop",
            health(slots=Slot("s", wal_status="extended"))),
    Example("slot-lost", health(slots=Slot("s", invalid="idle_timeout")), C, "s", "drop"),
    Example("slot-lost", health(slots=Slot("s", wal_status="unreserved")), C, "s",
            "max_slot_wal_keep_size"),
    Example(
        "replication-lag", health(replicas=Replica(9, "a", behind_seconds=31.0)), W, "a", "disk",
        health(replicas=Replica(9, "a", behind_seconds=29.0, behind_bytes=99 * MB)),
    ),
    Example("replication-lag", health(replicas=Replica(9, "a", behind_bytes=GB)), C, "a",
            quiet=health(replicas=Replica(9, "a", "", "backup", behind_bytes=GB))),
    Example(
        "sync-standby-missing", health({"synchronous_standby_names": "ANY 2 (a, b, c)"},
                                       replicas=Replica(9, "a", sync_state="quorum")), C,
        "server", "synchronous_standby_names", health(
            {"synchronous_standby_names": "ANY 2 (a, b, c)"},
            replicas=(Replica(8, "a", sync_state="quorum"), Replica(9, "b", sync_state="quorum"))),
    ),
    Example("sync-standby-missing", health({"synchronous_standby_names": "a"}), C, "server"),
    Example(
        "standby-lag", health(server=_STANDBY, recovery=Recovery(1, behind_seconds=31.0)), W,
        "server", "disk", health(server=_STANDBY, recovery=Recovery(1, behind_seconds=0.0)),
    ),
    Example("standby-lag", health(server=_STANDBY, recovery=Recovery(1, paused=True)), W, "server",
            "SELECT pg_wal_replay_resume();"),
    Example(
        "wal-receiver", health(server=_STANDBY, recovery=Recovery(0)), C, "server",
        "primary_conninfo", health(server=_STANDBY, recovery=Recovery(0, wants_receiver=False)),
    ),
    Example(
        "archiver-failing", health(archiver=Archiver(5, 3, archived_ago=500.0, failed_ago=5.0)), C,
        "server", "archive_command",
        health(archiver=Archiver(5, 3, archived_ago=5.0, failed_ago=500.0)),
    ),
    Example("archiver-failing", health(archiver=Archiver(0, 3, failed_ago=5.0)), C, "server",
            quiet=health({"archive_mode": "off"}, archiver=Archiver(0, 3, failed_ago=5.0))),
    Example("archiver-failing", health({"archive_command": ""}), W, "server", quiet=health(
        {"archive_command": "", "archive_library": "basic_archive"})),
    Example(
        "subscription-disabled", health(subscriptions=Subscription("S", enabled=False)), W, "S",
        'ALTER SUBSCRIPTION "S" ENABLE;', health(subscriptions=Subscription("S")),
    ),
    Example("subscription-failing", health(subscriptions=Subscription("s", running=False)), C, "s",
            "log", health(subscriptions=Subscription("s", enabled=False, running=False))),
    Example("subscription-failing", health(subscriptions=Subscription("s", apply_errors=2)), W,
            "s", quiet=health(subscriptions=Subscription("s", apply_errors=0, sync_errors=0))),
    Example("replica-identity", health(unidentified=Unidentified("public", "t", "p")), W,
            "public.t", "ALTER TABLE public.t ADD PRIMARY KEY"),
)  # fmt: skip

_SERIAL = Sequence("public", "t_id_seq", table="public.t", column="id", column_type="integer")
CAPACITY = (
    Example(
        "sequence-exhaustion",
        health(sequences=Sequence("public", "s", "integer", highest=2**31 - 1,
                                  last_value=1_600_000_000)), W, "public.s",
        "ALTER SEQUENCE public.s AS bigint;",
        health(sequences=Sequence("public", "s", last_value=1_600_000_000)),
    ),
    Example(  # a bigint sequence feeds an integer column
        "sequence-exhaustion", health(sequences=Sequence(
            "public", "t_id_seq", last_value=2_000_000_000, table="public.t", column="id",
            column_type="integer")), C, "public.t_id_seq",
        "ALTER TABLE public.t ALTER COLUMN id TYPE bigint;", health(sequences=_SERIAL),
    ),
    Example(  # it counts down
        "sequence-exhaustion", health(sequences=Sequence(
            "public", "d", lowest=-100, highest=-1, increment=-1, last_value=-95)), C, "public.d",
        quiet=health(sequences=Sequence(
            "public", "d", lowest=-100, highest=-1, increment=-1, last_value=-50)),
    ),
    Example("sequence-exhaustion", health(sequences=Sequence(
        "public", "c", highest=100, last_value=80)), W, "public.c", quiet=health(
        sequences=Sequence("public", "c", highest=100, last_value=80, cycles=True))),
    Example(
        "key-exhaustion", health(keys=Key("public", "t", "id", "integer", highest=2_000_000_000)),
        C, "public.t.id", "TYPE bigint", health(keys=Key("public", "t", "id", "integer")),
    ),
    Example("key-exhaustion", health(keys=Key("public", "t", "id", "smallint", highest=25_000)), W,
            "public.t.id", quiet=health(keys=Key("a", "t", "id", "integer", highest=25_000))),
    Example(
        "cache-hit", health(databases=database(blocks_hit=900_000, blocks_read=100_000)), W, "app",
        "shared_buffers", health(databases=database(blocks_hit=960_000, blocks_read=40_000)),
    ),
    Example(
        "temp-files", health(databases=database(temp_bytes=800 * GB)), W, "app", "log_temp_files",
        health(databases=database(temp_bytes=700 * GB)),
    ),
    Example(
        "rollback-share", health(databases=database(commits=800, rollbacks=200)), W, "app", "log",
        health(databases=database(commits=80, rollbacks=20)),
    ),
    Example(
        "checkpoints", health(checkpoints=Checkpoints(40, 60)), W, "server",
        "ALTER SYSTEM SET max_wal_size = '2048MB'", health(checkpoints=Checkpoints(3, 6)),
    ),
)  # fmt: skip
