// The client `pg`: one scenario a run, named by the first argument.

import { pipeline } from "node:stream/promises";
import { Readable } from "node:stream";
import pg from "pg";
import Cursor from "pg-cursor";
import { from, to } from "pg-copy-streams";
import { main, sqlstate, until, where } from "./lib.mjs";

async function session(work, options = {}) {
  const client = new pg.Client({ ...where, ...options });
  client.on("error", () => {});
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

function outcome(result) {
  const fields = result.fields.map((field) => [field.name, field.dataTypeID, field.format]);
  return [result.command, result.rowCount, fields, result.rows];
}

async function statements() {
  return session(async (client) => {
    const found = [];
    found.push(outcome(await client.query("CREATE TABLE t (x int PRIMARY KEY, y text, z jsonb, d timestamptz)")));
    for (let n = 0; n < 10; n++) {
      const values = [n, `ä☃ ${n}`, { n, none: null }, new Date(Date.UTC(2024, 0, n + 1))];
      found.push(outcome(await client.query("INSERT INTO t VALUES ($1, $2, $3, $4) RETURNING x", values)));
    }
    found.push(outcome(await client.query("SELECT * FROM t ORDER BY x")));
    found.push(outcome(await client.query({ text: "SELECT x, y FROM t WHERE x < $1", values: [3], rowMode: "array" })));
    const several = await client.query("SELECT 1 AS one; UPDATE t SET y = 'new' WHERE x > 4; SELECT 2");
    found.push(several.map(outcome));
    found.push(outcome(await client.query("")));
    for (const text of ["SELECT 1/0", "SELEC", "INSERT INTO t VALUES (1)", "SELECT nothing()"]) {
      found.push(await sqlstate(client.query(text)), await sqlstate(client.query({ text, values: [] })));
    }
    found.push(await sqlstate(client.query("SELECT $1::int", ["x"])));
    found.push(outcome(await client.query({ text: "SELECT $1::bytea, 7", values: [Buffer.from([0, 255])], binary: true })));
    return found;
  });
}

async function named() {
  return session(async (client) => {
    const found = [];
    for (let n = 0; n < 15; n++) {
      found.push((await client.query({ name: "s1", text: "SELECT $1::int + 1 AS x", values: [n] })).rows);
      found.push((await client.query({ name: "by name", text: "SELECT $1 || '!' AS y", values: [`${n}`] })).rows);
      found.push(await sqlstate(client.query({ name: "failing", text: "SELECT 1 / $1::int", values: [0] })));
      found.push(await sqlstate(client.query({ name: `bad ${n}`, text: "SELECT * FROM nothing" })));
    }
    await client.query("CREATE TABLE t AS SELECT 1 AS x");
    for (const column of ["y", "z"]) {
      found.push((await client.query({ name: `all ${column}`, text: "SELECT * FROM t" })).rows);
      await client.query(`ALTER TABLE t ADD ${column} text DEFAULT 'new'`);
    }
    found.push((await client.query({ name: "all", text: "SELECT * FROM t" })).rows);
    return found;
  });
}

async function queued() {
  // pg sends the next query when the one before is done, but takes them all at once.
  return session(async (client) => {
    const texts = Array.from({ length: 60 }, (_, n) => `SELECT ${n} AS n, 1 / (${n % 7} - 3) AS d`);
    const settled = await Promise.allSettled(texts.map((text) => client.query(text)));
    return settled.map(({ value, reason }) => (value ? value.rows : reason.code));
  });
}

async function transactions() {
  return session(async (client) => {
    const found = [];
    await client.query("CREATE TABLE t (x int)");
    await client.query("BEGIN ISOLATION LEVEL SERIALIZABLE");
    await client.query("INSERT INTO t VALUES ($1)", [1]);
    await client.query("SAVEPOINT s");
    found.push(await sqlstate(client.query("SELECT 1/0")), await sqlstate(client.query("SELECT 1")));
    await client.query("ROLLBACK TO s");
    await client.query("INSERT INTO t VALUES ($1)", [2]);
    found.push((await client.query("SHOW transaction_isolation")).rows);
    await client.query("COMMIT");
    await client.query("BEGIN");
    await client.query("DELETE FROM t");
    found.push(await sqlstate(client.query("SELECT * FROM nothing")));
    found.push((await client.query("COMMIT")).command, (await client.query("SELECT * FROM t")).rows);
    return found;
  });
}

async function cursors() {
  return session(async (client) => {
    const found = [];
    await client.query("BEGIN");
    const cursor = client.query(new Cursor("SELECT g FROM generate_series(1, $1) g", [25]));
    for (let rows = await cursor.read(7); rows.length; rows = await cursor.read(7)) found.push(rows.map((row) => row.g));
    await cursor.close();
    const half = client.query(new Cursor("SELECT generate_series(1, 1000) AS g"));
    found.push(await half.read(2));
    await half.close();
    const failing = client.query(new Cursor("SELECT 1 / (5 - g) FROM generate_series(1, 9) g"));
    found.push(await sqlstate(failing.read(100)));
    await client.query("ROLLBACK");
    const alone = client.query(new Cursor("SELECT generate_series(1, 30) AS g")); // portals outside a transaction
    found.push(await alone.read(10), await alone.read(100));
    await alone.close();
    return found;
  });
}

async function copies() {
  return session(async (client) => {
    const found = [];
    await client.query("CREATE TABLE t (x int, y text)");
    const lines = Array.from({ length: 5000 }, (_, n) => `${n}\tname ${n}\n`);
    const stream = client.query(from("COPY t FROM STDIN"));
    await pipeline(Readable.from(lines), stream);
    found.push(stream.rowCount);
    const chunks = [];
    for await (const chunk of client.query(to("COPY (SELECT * FROM t ORDER BY x) TO STDOUT"))) chunks.push(chunk);
    found.push(Buffer.concat(chunks).toString() === lines.join(""));
    const bad = client.query(from("COPY t FROM STDIN"));
    found.push(await sqlstate(pipeline(Readable.from(["1\tok\n", "bad\n"]), bad)));
    found.push((await client.query("SELECT count(*) FROM t")).rows);
    return found;
  });
}

async function noticesAndSettings() {
  return session(
    async (client) => {
      const found = [];
      const notices = [];
      client.on("notice", (notice) => notices.push([notice.severity, notice.code, notice.message]));
      await client.query("DO $$BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two'; END$$");
      await client.query("SET TimeZone = 'Asia/Tokyo'");
      for (let n = 0; n < 10; n++) {
        const names = ["application_name", "TimeZone", "statement_timeout", "work_mem", "DateStyle"];
        const list = names.map((name) => `current_setting('${name}')`).join(" || ' ' || ");
        found.push((await client.query(`SELECT ${list} AS found`)).rows);
      }
      return [...found, notices];
    },
    { application_name: "node", statement_timeout: 40000, options: "-c work_mem=5MB" },
  );
}

async function notifications() {
  return session((listener) =>
    session(async (sender) => {
      const heard = [];
      listener.on("notification", ({ channel, payload }) => heard.push([channel, payload]));
      await listener.query("LISTEN here");
      for (let n = 0; n < 3; n++) await sender.query("SELECT pg_notify('here', $1)", [`${n}`]);
      await until(() => heard.length === 3);
      await listener.query("UNLISTEN here");
      return heard;
    }),
  );
}

async function pool() {
  const found = [];
  const pool = new pg.Pool({ ...where, max: 6 });
  await pool.query("CREATE TABLE t (x int)");
  const work = async (number) => {
    const client = await pool.connect();
    const mine = [];
    try {
      for (let turn = 0; turn < 5; turn++) {
        await client.query("BEGIN");
        await client.query({ name: "insert", text: "INSERT INTO t VALUES ($1)", values: [number] });
        const { rows } = await client.query("SELECT count(*)::int AS n FROM t WHERE x = $1", [number]);
        mine.push(rows[0].n);
        await client.query(turn % 2 ? "ROLLBACK" : "COMMIT");
      }
    } finally {
      client.release();
    }
    return mine;
  };
  found.push(await Promise.all(Array.from({ length: 12 }, (_, number) => work(number))));
  found.push((await pool.query("SELECT x, count(*) FROM t GROUP BY x ORDER BY x")).rows);
  await pool.end();
  return found;
}

await main({ statements, named, queued, transactions, cursors, copies, noticesAndSettings, notifications, pool });
