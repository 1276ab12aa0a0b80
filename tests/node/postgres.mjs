// The client `postgres` (postgres.js): it pipelines what it is asked, each statement prepared.

import { pipeline } from "node:stream/promises";
import { Readable } from "node:stream";
import postgres from "postgres";
import { main, sqlstate, until, where } from "./lib.mjs";

async function session(work, options = {}) {
  const { user, ...rest } = where;
  const sql = postgres({ ...rest, username: user, max: 1, onnotice: () => {}, ...options });
  try {
    return await work(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

function outcome(result) {
  const columns = (result.columns ?? []).map((column) => [column.name, column.type]);
  return [result.command, result.count, columns, [...result]];
}

async function statements(options) {
  return session(async (sql) => {
    const found = [];
    found.push(outcome(await sql`CREATE TABLE t (x int PRIMARY KEY, y text, z jsonb, d timestamptz)`));
    for (let n = 0; n < 10; n++) {
      const row = { x: n, y: `ä☃ ${n}`, z: sql.json({ n, none: null }), d: new Date(Date.UTC(2024, 0, n + 1)) };
      found.push(outcome(await sql`INSERT INTO t ${sql(row)} RETURNING x`));
    }
    found.push(outcome(await sql`SELECT * FROM t ORDER BY x`));
    found.push(outcome(await sql`SELECT x, y FROM t WHERE x IN ${sql([1, 2])} ORDER BY x`));
    found.push((await sql`SELECT 1 AS one; UPDATE t SET y = 'new' WHERE x > 4; SELECT 2`.simple()).map(outcome));
    for (const failing of [sql`SELECT 1/0`, sql`SELEC`, sql`INSERT INTO t VALUES (1)`, sql`SELECT ${"x"}::int`]) {
      found.push(await sqlstate(failing));
    }
    const described = await sql`SELECT x, y FROM t WHERE x = ${1}`.describe();
    found.push([described.types, described.columns.map(({ name, type }) => [name, type])]);
    found.push(await sql`SELECT x, y FROM t WHERE x < 3 ORDER BY x`.values());
    found.push((await sql.unsafe("SELECT $1::int + 1 AS x", [41])).map((row) => row.x));
    return found;
  }, options);
}

async function pipelined() {
  return session(async (sql) => {
    const queries = Array.from({ length: 80 }, (_, n) =>
      n % 7 === 3 ? sql`SELECT 1 / ${0}::int` : n % 5 ? sql`SELECT ${n}::int AS n` : sql.unsafe(`SELECT ${n} AS n`),
    );
    const settled = await Promise.allSettled(queries);
    return settled.map(({ value, reason }) => (value ? value[0].n : reason.code));
  });
}

async function transactions() {
  return session(
    async (sql) => {
      const found = [];
      await sql`CREATE TABLE t (x int)`;
      const whole = sql.begin("isolation level serializable", async (sql) => {
        await sql`INSERT INTO t VALUES (1)`;
        found.push(
          await sqlstate(
            sql.savepoint(async (sql) => {
              await sql`INSERT INTO t VALUES (2)`;
              await sql`SELECT 1/0`;
            }),
          ),
        );
        const several = await Promise.all([sql`INSERT INTO t VALUES (3)`, sql`SELECT count(*)::int AS n FROM t`]);
        return several[1][0].n;
      });
      found.push(await whole);
      found.push(await sqlstate(sql.begin((sql) => [sql`DELETE FROM t`, sql`SELECT * FROM nothing`])));
      found.push([...(await sql`SELECT x FROM t ORDER BY x`)]);
      const work = (number) =>
        sql.begin(async (sql) => {
          await sql`INSERT INTO t VALUES (${100 + number})`;
          return (await sql`SELECT count(*)::int AS n FROM t WHERE x = ${100 + number}`)[0].n;
        });
      found.push(await Promise.all(Array.from({ length: 16 }, (_, number) => work(number))));
      found.push((await sql`SELECT count(*)::int AS n FROM t`)[0].n);
      return found;
    },
    { max: 5 },
  );
}

async function cursors() {
  return session(async (sql) => {
    const found = [];
    await sql`SELECT g FROM generate_series(1, ${25}::int) g`.cursor(7, (rows) => {
      found.push(rows.map((row) => row.g));
    });
    for await (const [row] of sql`SELECT generate_series(1, 5) AS g`.cursor()) found.push(row.g);
    await sql`SELECT generate_series(1, 1000) AS g`.cursor(10, () => sql.CLOSE);
    await sql`SELECT generate_series(1, 3) AS g`.forEach((row) => found.push(row.g));
    found.push((await sql`SELECT 'after' AS x`)[0].x);
    return found;
  });
}

async function copies() {
  return session(async (sql) => {
    const found = [];
    await sql`CREATE TABLE t (x int, y text)`;
    const lines = Array.from({ length: 5000 }, (_, n) => `${n}\tname ${n}\n`);
    await pipeline(Readable.from(lines), await sql`COPY t FROM STDIN`.writable());
    found.push((await sql`SELECT count(*)::int AS n FROM t`)[0].n);
    const chunks = [];
    for await (const chunk of await sql`COPY (SELECT * FROM t ORDER BY x) TO STDOUT`.readable()) chunks.push(chunk);
    found.push(Buffer.concat(chunks).toString() === lines.join(""));
    return found;
  });
}

async function settingsAndNotices() {
  const notices = [];
  const onnotice = ({ severity, code, message }) => notices.push([severity, code, message]);
  const connection = { application_name: "js", work_mem: "5MB", TimeZone: "Asia/Tokyo" };
  const found = await session(
    async (sql) => {
      await sql`DO $$BEGIN RAISE NOTICE 'one'; END$$`;
      const rows = [];
      for (let n = 0; n < 10; n++) {
        rows.push(...(await sql`SELECT current_setting('application_name') || ' ' || current_setting('work_mem')
          || ' ' || current_setting('TimeZone') AS found`));
      }
      return rows;
    },
    { connection, onnotice },
  );
  return [...found, notices];
}

async function notifications() {
  return session(
    async (sql) => {
      const heard = [];
      const { unlisten } = await sql.listen("here", (payload) => heard.push(payload));
      for (let n = 0; n < 3; n++) await sql.notify("here", `${n}`);
      await until(() => heard.length === 3);
      await unlisten();
      return heard;
    },
    { max: 2 },
  );
}

async function changedTable() {
  return session(async (sql) => {
    const found = [];
    await sql`CREATE TABLE t AS SELECT 1 AS x`;
    for (const column of ["y", "z"]) {
      found.push([...(await sql`SELECT * FROM t`)]);
      await sql.unsafe(`ALTER TABLE t ADD ${column} text DEFAULT 'new'`);
      found.push([...(await sql`SELECT * FROM t`)]); // it parses again by itself
    }
    return found;
  });
}

async function cancelled() {
  return session(
    async (sql) => {
      const query = sql`SELECT pg_sleep(60)`.execute();
      await until(async () => {
        const running = await sql`SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND state = 'active'
          AND datname = current_database() AND pid <> pg_backend_pid()`;
        return running.length === 1;
      });
      query.cancel();
      return [await sqlstate(query), (await sql`SELECT 'after' AS x`)[0].x];
    },
    { max: 2 },
  );
}

await main({
  prepared: () => statements({}),
  unprepared: () => statements({ prepare: false }),
  untyped: () => statements({ fetch_types: false }),
  pipelined,
  transactions,
  cursors,
  copies,
  settingsAndNotices,
  notifications,
  changedTable,
  cancelled,
});
