"""TPC-H's data in a database, made by the `tpchgen-cli` wheel and sent by COPY."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from dbopt.errors import ConfigError, QueryFailed
from dbopt.pg.connect import Connection

HERE = Path(__file__).parent
TABLES = ("region", "nation", "supplier", "customer", "part", "partsupp", "orders", "lineitem")
PROGRAM = "tpchgen-cli"
CHUNK = 1 << 18

_AFTER_THE_DATA = "-- after the data --"


def generator() -> Path | None:
    """The data generator, beside this Python or in PATH; None where it is not installed."""
    ours = Path(sysconfig.get_path("scripts")) / PROGRAM
    found = str(ours) if ours.is_file() else shutil.which(PROGRAM)
    return Path(found) if found else None


def load(
    connection: Connection, scale: float, report: Callable[[str], None] = lambda _: None
) -> None:
    """Make the tables, fill them, add keys and indexes, analyze.

    At scale 1 lineitem has 6,000,000 rows. `report` is told each table's name. Raises ConfigError
    where the generator is missing and QueryFailed where it fails.
    """
    program = generator()
    if program is None:
        raise ConfigError(
            f"TPC-H's data are made by {PROGRAM}, which is not installed.",
            hint=f"pip install {PROGRAM}",
        )
    text = (HERE / "schema.sql").read_text(encoding="utf-8")
    tables_sql, _, keys_sql = text.partition(_AFTER_THE_DATA)
    connection.execute(tables_sql.encode())
    with TemporaryDirectory(prefix="dbopt-tpch-") as directory:
        report("the generator")
        _generate(program, scale, directory)
        for table in TABLES:
            report(table)
            _fill(connection, Path(directory) / f"{table}.csv", table)
    report("keys and indexes")
    connection.execute(keys_sql.encode())
    connection.execute("VACUUM ANALYZE")


def _generate(program: Path, scale: float, directory: str) -> None:
    # One run for all tables: each takes a second to begin.
    command = [str(program), "csv", "--quiet", "-s", str(scale), "--output-dir", directory]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise QueryFailed(f"{PROGRAM} failed: {done.stderr.strip()[-200:]}")


def _fill(connection: Connection, file: Path, table: str) -> None:
    copy_sql = f"COPY {table} FROM STDIN (FORMAT csv, HEADER)".encode()
    with (
        file.open("rb") as made,
        connection.cursor() as cursor,
        cursor.copy(copy_sql) as copy,
    ):
        while chunk := made.read(CHUNK):
            copy.write(chunk)


def statements(directory: str) -> dict[str, str]:
    """The statements of a folder here ("queries" or "more"), by their file's name."""
    files = sorted((HERE / directory).glob("*.sql"))
    return {file.stem: file.read_text(encoding="utf-8").strip().rstrip(";") for file in files}
