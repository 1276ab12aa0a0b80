"""Make the corpus: run real clients through a proxy that keeps what passes.

    .venv/bin/python -m tests.fuzz.record

It starts a PostgreSQL of its own, and writes tests/fuzz/corpus anew.
"""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dbopt.demo.cluster import EmbeddedCluster
from tests.fuzz.corpus import DIRECTORY, SETUP

PSQL = """
SELECT 1 AS one, 'two' AS two;
SELECT * FROM pets ORDER BY id \\; SELECT count(*) FROM bank;
SELECT 1/0;
\\d bank
BEGIN;
UPDATE bank SET money = money - 5 WHERE id = 1;
SAVEPOINT here;
SELECT nothing FROM nowhere;
ROLLBACK TO here;
UPDATE bank SET money = money + 5 WHERE id = 2;
COMMIT;
\\copy pets FROM STDIN WITH (FORMAT csv)
7,Bello,2021-02-03
8,Mia,
\\.
\\copy pets TO STDOUT
\\copy pets FROM STDIN WITH (FORMAT csv)
not a number,Bello,2021-02-03
\\.
DELETE FROM pets WHERE id > 2;
SET TimeZone = 'Asia/Tokyo';
SHOW TimeZone;
DO $$ BEGIN RAISE NOTICE 'hear ye'; END $$;
\\set FETCH_COUNT 3
SELECT * FROM bank ORDER BY id LIMIT 8;
PREPARE mine (int) AS SELECT money FROM bank WHERE id = $1;
EXECUTE mine (3);
DEALLOCATE mine;
"""
PGBENCH = """
\\set one random(1, 50)
\\set two random(51, 100)
BEGIN;
UPDATE bank SET money = money - 1 WHERE id = :one;
SELECT money FROM bank WHERE id = :one;
UPDATE bank SET money = money + 1 WHERE id = :two;
END;
"""
PIPELINE = (
    "\\startpipeline\nSELECT 1;\nSELECT money FROM bank WHERE id = 5;\nSELECT 2;\n\\endpipeline\n"
)

Connection = psycopg.Connection[tuple[object, ...]]


class Proxy:
    """Passes connections on, and writes each to the corpus under the `name` of its time."""

    def __init__(self, host: str, port: int) -> None:
        self.server = host, port
        self.name = ""
        self.made = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.threads: list[threading.Thread] = []
        self._start(self._accept)

    def _start(self, work: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        thread.start()
        self.threads.append(thread)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection(self.server)
                self.made += 1
                name = f"{self.name}-{self.made:02}"
                self._start(self._pump, client, server, f"{name}.client")
                self._start(self._pump, server, client, f"{name}.server")

    def _pump(self, source: socket.socket, sink: socket.socket, file: str) -> None:
        with (DIRECTORY / file).open("wb", buffering=0) as kept, suppress(OSError):
            while data := source.recv(1 << 16):
                kept.write(data)
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


def psycopg_pipeline(connection: Connection) -> None:
    with connection.pipeline():
        for number in range(5):
            connection.execute("SELECT %s::int, %s::text", (number, "x" * number))
        connection.execute("UPDATE bank SET money = money WHERE id = %s", (7,))
    with suppress(psycopg.Error), connection.pipeline():
        connection.execute("SELECT 1")
        connection.execute("SELECT %s / 0", (1,))
        connection.execute("SELECT 2")


def psycopg_prepared(connection: Connection) -> None:
    for number in range(4):
        connection.execute("SELECT money FROM bank WHERE id = %s", (number,), prepare=True)
        connection.execute("SELECT %s::text || 'b'", ("ä",), prepare=True)
    connection.execute("DEALLOCATE ALL")
    connection.execute("SELECT money FROM bank WHERE id = %s", (1,), prepare=True)


def psycopg_copy(connection: Connection) -> None:
    with connection.transaction(), connection.cursor() as cursor:
        for form in ("", " WITH (FORMAT binary)"):
            with cursor.copy(f"COPY pets (id, name) FROM STDIN{form}") as copy:
                copy.set_types(["int4", "text"])
                for number in range(20):
                    copy.write_row((number + 100, f"pet {number}"))
            with cursor.copy(f"COPY pets TO STDOUT{form}") as copy:
                list(copy)
        cursor.execute("DELETE FROM pets WHERE id >= 100")
    bad = "COPY pets (id) FROM STDIN"
    with suppress(psycopg.Error), connection.cursor() as cursor, cursor.copy(bad) as copy:
        copy.write("no number\n")


def psycopg_large(connection: Connection) -> None:
    connection.execute("SELECT length(%s), %s::text", ("y" * 20_000, "z" * 9_000))
    connection.execute("SELECT repeat('x', 20000)")


def psycopg_cursor(connection: Connection) -> None:
    with connection.transaction(), connection.cursor("mine") as cursor:
        cursor.execute("SELECT id, money FROM bank ORDER BY id")
        cursor.fetchmany(10)
        cursor.fetchmany(3)
    connection.execute("SET application_name = 'fuzz'")
    connection.execute("RESET ALL")


def psycopg_cancel(connection: Connection) -> None:
    timer = threading.Timer(0.2, connection.cancel_safe)  # cancel() would hold the GIL
    timer.start()
    with suppress(psycopg.Error):
        connection.execute("SELECT pg_sleep(1.5)")
    timer.join()


SCRIPTS = (
    psycopg_pipeline, psycopg_prepared, psycopg_copy, psycopg_large, psycopg_cursor,
    psycopg_cancel,
)  # fmt: skip


@contextmanager
def recording(dsn: str) -> Iterator[tuple[Proxy, str]]:
    """A proxy in front of the server, and the conninfo that leads through it."""
    parts = conninfo_to_dict(dsn)
    proxy = Proxy(str(parts["host"]), int(str(parts["port"])))
    try:
        yield proxy, make_conninfo(dsn, host="127.0.0.1", port=proxy.port, gssencmode="disable")
    finally:
        proxy.listener.close()
        for thread in proxy.threads[1:]:
            thread.join(10)


def record(cluster: EmbeddedCluster) -> None:
    dsn = cluster.dsn()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(SETUP)
    with recording(dsn) as (proxy, through), tempfile.TemporaryDirectory() as directory:
        plain = make_conninfo(through, sslmode="disable")
        proxy.name = "psql"
        run(["psql", "-X", "-q", make_conninfo(through, sslmode="prefer")], PSQL)
        pgbench(proxy, plain, Path(directory))
        for script in SCRIPTS:
            proxy.name = script.__name__.replace("_", "-")
            with psycopg.connect(plain, autocommit=True) as connection:
                script(connection)


def pgbench(proxy: Proxy, dsn: str, directory: Path) -> None:
    (directory / "bank.sql").write_text(PGBENCH)
    (directory / "pipeline.sql").write_text(PIPELINE)
    cases = (("simple", "bank"), ("extended", "bank"), ("prepared", "bank"))
    for mode, script in (*cases, ("extended", "pipeline"), ("prepared", "pipeline")):
        proxy.name = f"pgbench-{mode}-{script}"
        file = str(directory / f"{script}.sql")
        run(["pgbench", "-n", "-c", "1", "-t", "4", "-M", mode, "-f", file], "", dsn)


def run(command: list[str], given: str, dsn: str = "") -> None:
    parts = {f"PG{key.upper()}": str(value) for key, value in conninfo_to_dict(dsn).items()}
    names = {"PGDBNAME": "PGDATABASE"}
    environment = {names.get(key, key): value for key, value in parts.items()}
    subprocess.run(
        command, input=given.encode(), check=True, capture_output=True,
        env=os.environ | environment,
    )  # fmt: skip


def main() -> None:
    """Entry point."""
    for old in DIRECTORY.glob("*-*.*"):
        old.unlink()
    with EmbeddedCluster() as cluster:
        record(cluster)
    with (
        EmbeddedCluster(auth="scram-sha-256") as cluster,
        recording(cluster.dsn()) as (proxy, through),
    ):
        proxy.name = "scram"
        with psycopg.connect(make_conninfo(through, sslmode="disable")) as connection:
            connection.execute("SELECT 1")
    size = sum(path.stat().st_size for path in DIRECTORY.iterdir())
    print(f"{len(list(DIRECTORY.iterdir()))} files, {size} bytes")


if __name__ == "__main__":
    main()
