"""History as frames: one generic table for all views, by day; plans, events, slow statements.

The absolute snapshots of 0001 go: nothing of them can be kept as differences. dbopt.history has a
row for each view and time: `changed`, `base` and `gone` are blocks (dbopt/store/block.py says how
they are laid out), whose first column is the entity's id as the difference to the one before, and
whose others are the layout's counters and gauges. The gauges in `changed` are differences to the
same entity's last in the chain, whose rows `link` numbers from 0. dbopt.series, dbopt.total and
dbopt.unpacked read all that in SQL.

Times in columns named *_ms are milliseconds. Fingerprints are 64 bits, stored as signed.
"""

from __future__ import annotations

import runpy
from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SLOW_COLUMNS = (
    'id, at, fingerprint, text, database, "user", application, duration_ms, queue_ms, '
    "server_ms, rows, sqlstate, backend_pid, plan"
)

HISTORY: tuple[str, ...] = (
    """
    CREATE TABLE dbopt.target (
        id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        server text NOT NULL,
        database text NOT NULL,
        UNIQUE (server, database)
    )
    """,
    """
    CREATE TABLE dbopt.layout (
        id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        view text NOT NULL,
        counters text[] NOT NULL,
        gauges text[] NOT NULL,
        additive boolean NOT NULL,
        UNIQUE (view, counters, gauges, additive)
    )
    """,
    """
    CREATE TABLE dbopt.entity (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        target_id integer NOT NULL,
        view text COLLATE "C" NOT NULL,
        key text COLLATE "C" NOT NULL,
        labels jsonb,
        first_seen timestamptz NOT NULL,
        last_seen timestamptz NOT NULL,
        UNIQUE (target_id, view, key)
    )
    """,
    """
    CREATE TABLE dbopt.history (
        at timestamptz NOT NULL,
        target_id integer NOT NULL,
        layout_id integer NOT NULL,
        seconds double precision NOT NULL,
        chain bigint NOT NULL,
        link integer NOT NULL,
        reset boolean NOT NULL,
        changed bytea,
        base bytea,
        gone bytea
    ) PARTITION BY RANGE (at)
    """,
    "CREATE TABLE dbopt.history_default PARTITION OF dbopt.history DEFAULT",
    "CREATE INDEX history_of ON dbopt.history (target_id, layout_id, at)",
    "CREATE INDEX history_at ON dbopt.history (at)",
    """
    CREATE TABLE dbopt.writer (
        id uuid PRIMARY KEY,
        seq bigint NOT NULL,
        at timestamptz NOT NULL DEFAULT now()
    ) WITH (fillfactor = 50)
    """,
)

OTHERS: tuple[str, ...] = (
    "ALTER TABLE dbopt.slow_statement RENAME TO slow_statement_0001",
    "ALTER INDEX dbopt.slow_statement_at RENAME TO slow_statement_0001_at",
    "ALTER INDEX dbopt.slow_statement_fingerprint RENAME TO slow_statement_0001_fingerprint",
    "ALTER INDEX dbopt.slow_statement_pkey RENAME TO slow_statement_0001_pkey",
    "ALTER SEQUENCE dbopt.slow_statement_id_seq RENAME TO slow_statement_0001_id_seq",
    "CREATE SEQUENCE dbopt.slow_statement_id_seq",
    """
    CREATE TABLE dbopt.slow_statement (
        id bigint NOT NULL DEFAULT nextval('dbopt.slow_statement_id_seq'),
        at timestamptz NOT NULL,
        fingerprint bigint NOT NULL,
        text text NOT NULL,
        server text NOT NULL DEFAULT '',
        database text NOT NULL,
        "user" text NOT NULL,
        application text NOT NULL,
        route text NOT NULL DEFAULT '',
        tags jsonb NOT NULL DEFAULT '{}',
        trace_id text NOT NULL DEFAULT '',
        duration_ms double precision NOT NULL,
        queue_ms double precision NOT NULL,
        server_ms double precision NOT NULL,
        transfer_ms double precision NOT NULL DEFAULT 0,
        received bigint NOT NULL DEFAULT 0,
        sent bigint NOT NULL DEFAULT 0,
        rows bigint NOT NULL,
        sqlstate text NOT NULL,
        backend_pid integer NOT NULL,
        waits jsonb NOT NULL DEFAULT '{}',
        shape text NOT NULL DEFAULT '',
        plan jsonb
    ) PARTITION BY RANGE (at)
    """,
    "ALTER SEQUENCE dbopt.slow_statement_id_seq OWNED BY dbopt.slow_statement.id",
    "CREATE TABLE dbopt.slow_statement_default PARTITION OF dbopt.slow_statement DEFAULT",
    "CREATE INDEX slow_statement_at ON dbopt.slow_statement (at)",
    "CREATE INDEX slow_statement_fingerprint ON dbopt.slow_statement (fingerprint, at)",
    f"INSERT INTO dbopt.slow_statement ({SLOW_COLUMNS}) "  # noqa: S608 - our own names
    f"SELECT {SLOW_COLUMNS} FROM dbopt.slow_statement_0001",
    "SELECT setval('dbopt.slow_statement_id_seq', "
    "(SELECT coalesce(max(id), 0) + 1 FROM dbopt.slow_statement), false)",
    "DROP TABLE dbopt.slow_statement_0001",
    """
    CREATE TABLE dbopt.event (
        at timestamptz NOT NULL,
        server text NOT NULL,
        database text NOT NULL,
        kind text NOT NULL,
        object text NOT NULL,
        message text NOT NULL,
        data jsonb NOT NULL DEFAULT '{}'
    ) PARTITION BY RANGE (at)
    """,
    "CREATE TABLE dbopt.event_default PARTITION OF dbopt.event DEFAULT",
    "CREATE INDEX event_at ON dbopt.event (at)",
    """
    CREATE TABLE dbopt.plan (
        fingerprint bigint NOT NULL,
        server text NOT NULL,
        database text NOT NULL,
        shape text NOT NULL,
        source text NOT NULL,
        first_seen timestamptz NOT NULL,
        last_seen timestamptz NOT NULL,
        times bigint NOT NULL,
        cost double precision,
        best_ms double precision,
        worst_ms double precision,
        json jsonb NOT NULL,
        PRIMARY KEY (fingerprint, server, database, shape)
    )
    """,
    "CREATE INDEX plan_last_seen ON dbopt.plan (last_seen)",
)

FUNCTIONS: tuple[str, ...] = (
    # PostgreSQL reads a part of a compressed value by decompressing it each time: `||` keeps
    # it plain for the many looks at single bytes.
    """
    CREATE FUNCTION dbopt.unpacked(block bytea, col integer)
    RETURNS TABLE (i integer, value bigint)
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        raw bytea := block || ''::bytea;
        n integer; c integer; form integer; width integer; first integer; planes bytea;
        more integer; signed boolean;
    BEGIN
        IF block IS NULL THEN RETURN; END IF;
        n := ('x' || encode(substr(raw, 1, 4), 'hex'))::bit(32)::integer;
        c := get_byte(raw, 4) * 256 + get_byte(raw, 5);
        IF col < 0 OR col >= c THEN RETURN; END IF;
        form := get_byte(raw, 6 + col);
        width := form & 15;
        signed := form & 16 <> 0;
        more := CASE WHEN form & 32 <> 0 THEN 1 ELSE 0 END;
        SELECT 6 + c + n * coalesce(sum(get_byte(raw, 6 + k) & 15), 0) INTO first
          FROM generate_series(0, col - 1) AS k;
        planes := substr(raw, first + 1, n * width);
        RETURN QUERY
        SELECT s.i, CASE WHEN signed THEN (s.code >> 1) # -(s.code & 1) ELSE s.code END
          FROM (SELECT g, CASE
                         WHEN width = 0 THEN 0
                         WHEN width = 1 THEN get_byte(planes, g)::bigint
                         WHEN width = 2 THEN (get_byte(planes, g)::bigint << 8)
                                             + get_byte(planes, n + g)
                         WHEN width = 3 THEN (get_byte(planes, g)::bigint << 16)
                                             + (get_byte(planes, n + g) << 8)
                                             + get_byte(planes, 2 * n + g)
                         ELSE (SELECT sum(get_byte(planes, k * n + g)::bigint
                                          << (8 * (width - 1 - k)))
                                 FROM generate_series(0, width - 1) AS k)::bigint
                         END
                  FROM generate_series(0, n - 1) AS g) AS p (i, raw_code)
          CROSS JOIN LATERAL
               (SELECT p.i, CASE WHEN more = 1 AND p.raw_code = 0 THEN NULL
                                 ELSE p.raw_code - more END) AS s (i, code);
    END
    $$
    """,
    """
    CREATE FUNCTION dbopt.unpacked_ids(block bytea)
    RETURNS TABLE (i integer, entity_id bigint)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
        SELECT u.i, (sum(u.value) OVER (ORDER BY u.i))::bigint FROM dbopt.unpacked(block, 0) AS u
    $$
    """,
    """
    CREATE FUNCTION dbopt.series(
        of_view text, of_column text,
        since timestamptz DEFAULT '-infinity', until timestamptz DEFAULT 'infinity')
    RETURNS TABLE (at timestamptz, seconds double precision, server text, database text,
                   key jsonb, labels jsonb, value bigint)
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
        WITH layouts AS (
            SELECT l.id, array_position(l.counters || l.gauges, of_column) AS col,
                   of_column = ANY (l.gauges) AS is_gauge
              FROM dbopt.layout AS l
             WHERE l.view = of_view AND of_column = ANY (l.counters || l.gauges)
        ), wanted AS (
            SELECT h.*, l.col, l.is_gauge
              FROM layouts AS l JOIN dbopt.history AS h ON h.layout_id = l.id
             WHERE h.at <= until AND h.at > since - interval '1 hour'
               AND h.at > CASE WHEN l.is_gauge THEN since - interval '1 hour' ELSE since END
        ), said AS (
            SELECT w.at, w.seconds, w.target_id, w.layout_id, w.chain, w.is_gauge,
                   k.entity_id, v.value, false AS whole
              FROM wanted AS w
             CROSS JOIN LATERAL dbopt.unpacked_ids(w.changed) AS k
              JOIN LATERAL dbopt.unpacked(w.changed, w.col) AS v ON v.i = k.i
            UNION ALL
            SELECT w.at, w.seconds, w.target_id, w.layout_id, w.chain, w.is_gauge,
                   k.entity_id, v.value, true
              FROM wanted AS w
             CROSS JOIN LATERAL dbopt.unpacked_ids(w.base) AS k
              JOIN LATERAL dbopt.unpacked(w.base, w.col) AS v ON v.i = k.i
             WHERE w.is_gauge
        ), cut AS (
            SELECT s.*, count(*) FILTER (WHERE s.whole AND s.value IS NOT NULL) OVER along AS part,
                   lead(s.whole) OVER along AS next_whole, lead(s.at) OVER along AS next_at
              FROM said AS s
            WINDOW along AS (PARTITION BY s.target_id, s.layout_id, s.chain, s.entity_id
                             ORDER BY s.at, s.whole)
        ), summed AS (
            SELECT c.*, CASE
                WHEN NOT c.is_gauge OR c.value IS NULL THEN c.value
                ELSE (sum(c.value) OVER (PARTITION BY c.target_id, c.layout_id, c.chain,
                                                      c.entity_id, c.part
                                         ORDER BY c.at, c.whole))::bigint END AS total
              FROM cut AS c
        )
        SELECT s.at, s.seconds, t.server, t.database, e.key::jsonb,
               coalesce(e.labels, '{}'), s.total
          FROM summed AS s
          JOIN dbopt.target AS t ON t.id = s.target_id
          JOIN dbopt.entity AS e ON e.id = s.entity_id
         WHERE s.at > since
           AND NOT (NOT s.whole AND coalesce(s.next_whole AND s.next_at = s.at, false))
         ORDER BY s.at, t.server, t.database, e.key
    $$
    """,
    """
    CREATE FUNCTION dbopt.total(
        of_view text, of_counter text,
        since timestamptz DEFAULT '-infinity', until timestamptz DEFAULT 'infinity')
    RETURNS TABLE (server text, database text, key jsonb, labels jsonb, value numeric)
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
        SELECT t.server, t.database, e.key::jsonb, coalesce(e.labels, '{}'), g.grown
          FROM (SELECT h.target_id, k.entity_id, sum(v.value) AS grown
                  FROM dbopt.layout AS l
                  JOIN dbopt.history AS h ON h.layout_id = l.id
                 CROSS JOIN LATERAL dbopt.unpacked_ids(h.changed) AS k
                  JOIN LATERAL dbopt.unpacked(
                       h.changed, array_position(l.counters, of_counter)) AS v ON v.i = k.i
                 WHERE l.view = of_view AND of_counter = ANY (l.counters)
                   AND h.at > since AND h.at <= until
                 GROUP BY h.target_id, k.entity_id) AS g
          JOIN dbopt.target AS t ON t.id = g.target_id
          JOIN dbopt.entity AS e ON e.id = g.entity_id
         ORDER BY g.grown DESC NULLS LAST, e.key
    $$
    """,
    """
    CREATE FUNCTION dbopt.signed(fingerprint numeric) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
        SELECT (CASE WHEN fingerprint >= 9223372036854775808
                     THEN fingerprint - 18446744073709551616 ELSE fingerprint END)::bigint
    $$
    """,
    """
    COMMENT ON FUNCTION dbopt.signed(numeric) IS
    'A fingerprint, which is unsigned in labels, as the columns named fingerprint have it.'
    """,
    """
    COMMENT ON FUNCTION dbopt.series(text, text, timestamptz, timestamptz) IS
    'One column of a view over time: a counter''s growth in each period of so many seconds that '
    'ended at `at`, or a gauge. SELECT at, labels->>''name'', value / seconds FROM '
    'dbopt.series(''tables'', ''seq_scan'', now() - interval ''1 hour'');'
    """,
    """
    COMMENT ON FUNCTION dbopt.total(text, text, timestamptz, timestamptz) IS
    'What a counter of a view grew by, by entity, the most first. SELECT labels->>''name'', value '
    'FROM dbopt.total(''tables'', ''seq_scan'', now() - interval ''1 day'') LIMIT 10;'
    """,
)

OLD: tuple[str, ...] = (
    "snapshot_activity",
    "snapshot_index",
    "snapshot_table",
    "snapshot_statement",
    "snapshot_database",
    "snapshot",
)

STATEMENTS: tuple[str, ...] = (
    *(f"DROP TABLE dbopt.{table}" for table in OLD),
    *HISTORY,
    *OTHERS,
    *FUNCTIONS,
)

DROPPED: tuple[str, ...] = (
    "DROP FUNCTION dbopt.signed(numeric)",
    "DROP FUNCTION dbopt.total(text, text, timestamptz, timestamptz)",
    "DROP FUNCTION dbopt.series(text, text, timestamptz, timestamptz)",
    "DROP FUNCTION dbopt.unpacked_ids(bytea)",
    "DROP FUNCTION dbopt.unpacked(bytea, integer)",
    "DROP TABLE dbopt.plan",
    "DROP TABLE dbopt.event",
    "DROP TABLE dbopt.writer",
    "DROP TABLE dbopt.history",
    "DROP TABLE dbopt.entity",
    "DROP TABLE dbopt.layout",
    "DROP TABLE dbopt.target",
)


def upgrade() -> None:
    """Drop the snapshots, make the rest, move the slow statements."""
    # dbopt:ignore prefer-bigint-over-int databases and layouts are few, and process ids small
    # dbopt:ignore ban-drop-table, renaming-table, renaming-object nobody else uses dbopt's schema
    # dbopt:ignore locking-two-tables, require-lock-timeout, require-statement-timeout so here too
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Make what 0001 made, and move the slow statements back; the history is lost."""
    for statement in (*DROPPED, "ALTER TABLE dbopt.slow_statement RENAME TO slow_statement_0004"):
        op.execute(statement)
    for index in ("at", "fingerprint"):
        op.execute(f"ALTER INDEX dbopt.slow_statement_{index} RENAME TO slow_0004_{index}")
    op.execute("ALTER SEQUENCE dbopt.slow_statement_id_seq RENAME TO slow_0004_id_seq")
    made = runpy.run_path(str(Path(__file__).with_name("0001_store.py")))["STATEMENTS"]
    for statement in made:
        if "dbopt.statement" not in statement:
            op.execute(statement)
    op.execute(
        f"INSERT INTO dbopt.slow_statement ({SLOW_COLUMNS}) OVERRIDING SYSTEM VALUE "  # noqa: S608
        f"SELECT {SLOW_COLUMNS} FROM dbopt.slow_statement_0004"
    )
    op.execute(
        "SELECT setval('dbopt.slow_statement_id_seq', "
        "(SELECT coalesce(max(id), 0) + 1 FROM dbopt.slow_statement), false)"
    )
    op.execute("DROP TABLE dbopt.slow_statement_0004")
