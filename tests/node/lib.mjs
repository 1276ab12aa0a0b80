// What both clients' programs need: where to connect to, and a report as JSON on stdout.

export const where = {
  host: process.env.PGHOST,
  port: Number(process.env.PGPORT),
  user: process.env.PGUSER,
  database: process.env.PGDATABASE,
  password: process.env.PGPASSWORD ?? "",
  ssl: false,
};

/** The SQLSTATE that the promise fails with; "00000" where it does not. */
export async function sqlstate(promise) {
  try {
    await promise;
    return "00000";
  } catch (error) {
    return error.code ?? String(error);
  }
}

/** Waits until `done()` gives true; fails after `seconds`. */
export async function until(done, seconds = 3) {
  const deadline = Date.now() + seconds * 1000;
  while (!(await done())) {
    if (Date.now() > deadline) throw new Error(`waited ${seconds} s for ${done}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function plain(_key, value) {
  return typeof value === "bigint" ? `${value}n` : value;
}

/** Runs the scenario named on the command line and prints what it gives. */
export async function main(scenarios) {
  const scenario = scenarios[process.argv[2]];
  process.stdout.write(JSON.stringify(await scenario(), plain));
}
