"""Examples of rules on settings, integrity, schema, security and software."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from dbopt.pg.healthparts import (
    Collation,
    Column,
    Constraint,
    Extension,
    ForeignKey,
    Password,
    Role,
    Schema,
    Statements,
    Trigger,
)
from dbopt.sql.findings import Severity
from tests.unit.check.builders import (
    DAY,
    GB,
    Example,
    database,
    health,
    parameters,
    server,
    session,
    table,
)

INFO, W, C = Severity.INFO, Severity.WARNING, Severity.CRITICAL


def _set(rule: str, severity: Severity, remedy: str = "ALTER SYSTEM SET", **values: str) -> Example:
    (name,) = values
    return Example(rule, health(values), severity, name, remedy)


_WAITING = parameters()
_WAITING["shared_buffers"] = replace(_WAITING["shared_buffers"], pending_restart=True)
_ROLE = parameters(idle_in_transaction_session_timeout="0", transaction_timeout="1000")

SETTINGS = (
    _set("fsync", C, "ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf();", fsync="off"),
    _set("full-page-writes", C, full_page_writes="off"),
    _set("synchronous-commit", INFO, synchronous_commit="off"),
    _set("autovacuum-off", C, autovacuum="off"),
    _set("track-counts", C, track_counts="off"),
    _set("wal-level", INFO, "and restart", wal_level="minimal"),
    _set("hidden-damage", C, zero_damaged_pages="on"),
    _set("jit", INFO, jit="on"),
    _set("lock-logging", INFO, log_lock_waits="off"),
    _set("password-encryption", W, "'scram-sha-256'", password_encryption="md5"),
    _set("track-io-timing", INFO, track_io_timing="off"),
    _set("statistics-target", INFO, default_statistics_target="10"),
    _set("statistics-target", INFO, default_statistics_target="5000"),
    _set("planner-switches", W, enable_seqscan="off"),
    _set("checkpoint-target", INFO, checkpoint_completion_target="0.5"),
    _set("statement-timeout", INFO, "ALTER ROLE", statement_timeout="0"),
    _set("slow-logging", INFO, log_min_duration_statement="-1"),
    Example(
        "idle-transaction-timeout", health({"idle_in_transaction_session_timeout": "0"}), INFO,
        "idle_in_transaction_session_timeout", "ALTER ROLE", health(settings=None),
    ),
    Example(
        "shared-buffers", health({"shared_buffers": "16384"}, server=server(bytes=2 * GB)), W,
        "shared_buffers", "quarter", health({"shared_buffers": "16384"}),
    ),
    Example(
        "work-mem", health({"work_mem": "262144"}), W, "work_mem", "dbopt serve",
        health({"work_mem": "65536"}),
    ),
    Example(
        "random-page-cost",
        health({"random_page_cost": "4"}, databases=database(blocks_read=20_000, read_ms=2_000.0)),
        INFO, "app", "ALTER SYSTEM SET random_page_cost = 1.1",
        health({"random_page_cost": "4"}, databases=database(blocks_read=20_000, read_ms=90_000.0)),
    ),
    Example(
        "huge-pages", health({"shared_buffers": "1048576", "huge_pages_status": "off"}), INFO,
        "huge_pages", "vm.nr_hugepages", health({"huge_pages_status": "off"}),
    ),
    Example("pending-restart", replace(health(), settings=_WAITING), W, "server", "pg_ctl restart"),
)  # fmt: skip

INTEGRITY = (
    Example("checksum-failures", health(databases=database(checksum_failures=1)), C, "app",
            "backup"),
    Example("checksums-off", health({"data_checksums": "off"}), INFO, "server", "pg_checksums"),
    Example(
        "collation-version",
        health(databases=database(collation_recorded="2.31", collation_actual="2.36")), W, "app",
        "REINDEX DATABASE app;",
        health(databases=database(collation_recorded="2.31", collation_actual="")),
    ),
    Example("collation-version", health(collations=Collation("public", "de", "1", "2")), W,
            "public.de", "ALTER COLLATION public.de REFRESH VERSION;"),
    Example("invalid-database", health(databases=database(connection_limit=-2)), W, "app",
            "DROP DATABASE app;"),
    Example("invalid-constraints", health(constraints=Constraint("public", "t", "k")), W,
            "public.t.k", "ALTER TABLE public.t VALIDATE CONSTRAINT k;"),
    Example("disabled-triggers", health(triggers=Trigger("public", "t", "Log")), W,
            "public.t.Log", 'ALTER TABLE public.t ENABLE TRIGGER "Log";'),
    Example("disabled-triggers", health(triggers=Trigger("public", "t", "fk", internal=True)), C,
            "public.t.fk", "ENABLE TRIGGER ALL;"),
)  # fmt: skip

SCHEMA = (
    Example("foreign-key-types", health(foreign_keys=ForeignKey(
        "public", "t", "k", "a", "integer", "bigint")), W, "public.t.k",
        "ALTER TABLE public.t ALTER COLUMN a TYPE bigint;"),
    Example("no-primary-key", health(tables=table(has_primary_key=False)), W, "public.t",
            "PRIMARY KEY", health(tables=table(has_primary_key=False, partition=True))),
    Example("no-primary-key", health(tables=table(has_primary_key=False, rows=5, live=5)), INFO,
            "public.t", quiet=health(tables=table(has_primary_key=False, of_extension=True))),
    Example("unlogged-tables", health(tables=table(unlogged=True)), INFO, "public.t",
            "ALTER TABLE public.t SET LOGGED;"),
    Example("column-types", health(columns=Column("public", "t", "c", "character(3)", "bpchar")),
            INFO, "public.t.c", "TYPE text;", health(
                columns=Column("dbopt", "t", "c", "json", "json"))),
)  # fmt: skip

_LATE = server(version_num=140024, now=datetime(2026, 12, 1, tzinfo=UTC))
SECURITY = (
    Example("ssl-off", health({"ssl": "off"}), W, "ssl", "ssl_cert_file",
            health({"ssl": "off", "listen_addresses": "localhost, ::1"})),
    Example("superuser-sessions", health(sessions=session(superuser=True)), W, "app",
            "CREATE ROLE", health(sessions=session(superuser=True, application="psql"))),
    Example("expiring-roles", health(roles=Role("app", expires_in=13 * DAY)), W, "app",
            "VALID UNTIL", health(roles=Role("app", expires_in=15 * DAY))),
    Example("expiring-roles", health(roles=Role("app", expires_in=-5.0)), W, "app"),
    Example("md5-passwords", health(passwords=Password("app")), W, "app", "scram-sha-256"),
    Example("public-create", health(schemas=Schema("public")), W, "public",
            "REVOKE CREATE ON SCHEMA public FROM PUBLIC;"),
)  # fmt: skip

SOFTWARE = (
    Example("version-eol", health(server=_LATE), W, "PostgreSQL 14", "pg_upgrade"),
    Example("version-eol", health(server=server(version_num=140024)), INFO, "PostgreSQL 14",
            quiet=health(server=server(version_num=990000))),
    Example("minor-version", health(server=server(version_num=180005)), W, "PostgreSQL 18.5",
            "restart", health(server=server(version_num=180099))),
    Example("extension-version", health(extensions=Extension("postgis", "3.4", "3.5")), INFO,
            "postgis", "ALTER EXTENSION postgis UPDATE;"),
    Example("statements-missing", health(server=server(statements_version="")), INFO,
            "pg_stat_statements", "CREATE EXTENSION pg_stat_statements;"),
    Example("statements-evicting", health(statements=Statements(250, 10 * DAY)), W,
            "pg_stat_statements", "pg_stat_statements.max = 10000",
            health(statements=Statements(230, 10 * DAY))),
    Example("clock-skew", health(server=server(clock_skew=-6.0)), W, "server", "NTP",
            health(server=server(clock_skew=4.0))),
)  # fmt: skip
