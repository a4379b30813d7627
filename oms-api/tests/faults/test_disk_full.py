"""A full disk: writes are refused, nothing is lost, and the service recovers when there is room."""

import os
import resource
import subprocess
import tempfile
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest

from tests.faults.conftest import FaultSetup
from tests.faults.journal import Journal
from tests.faults.load import (
    PROMISED_SECONDS,
    repeat_requests,
    resolve_open_requests,
    run_load,
    wait_for_more,
    wait_for_refusals,
)
from tests.faults.process_control import OmsProcess, run_services
from tests.faults.seeds import create_random
from tests.support.postgres import Databases, get_database_name

DISK_BYTES = 24 * 2**20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Provide a small disk of the test's own; skip the test where it cannot be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(
            "a small disk can be mounted by root alone; the limit on a file's size is tested either way"
        )
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill_disk(disk: Path) -> Path:
    """Take all the room there is; return the file to delete."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (2**16, 2**10, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                continue
    return ballast


def trade_through(oms: OmsProcess, journal: Journal, stage: FaultSetup, ballast: Iterator[None]) -> None:
    """Trade, let the disk fill up (the first step of `ballast`), make room (the second), trade again."""
    with run_services(oms):
        with run_load(journal, [oms.port], "disk"):
            wait_for_more(journal, 50)
            next(ballast)
            wait_for_refusals(journal, 50, PROMISED_SECONDS)
            assert oms.process.poll() is None
            next(ballast, None)
            wait_for_more(journal, 20)
        resolve_open_requests(journal, oms.port)
        repeat_requests(journal, oms.port, create_random(0, "disk full"))
        stage.assert_books_consistent(journal)


def fill_disk_temporarily(disk: Path) -> Iterator[None]:
    ballast = fill_disk(disk)
    yield
    ballast.unlink()


def test_sqlite_on_a_full_disk_loses_nothing_and_recovers(
    sqlite_setup: FaultSetup, journal: Journal, disk: Path
):
    path = Path(sqlite_setup.database_url.removeprefix("sqlite:///"))
    stage = FaultSetup(_move_folder(path, disk), sqlite_setup.logs)
    trade_through(stage.oms(), journal, stage, fill_disk_temporarily(disk))


def _move_folder(path: Path, disk: Path) -> str:
    (disk / path.name).write_bytes(path.read_bytes())
    return f"sqlite:///{disk / path.name}"


def test_postgresql_on_a_full_disk_loses_nothing_and_recovers(
    postgres_setup: FaultSetup, journal: Journal, disk: Path
):
    server = postgres_setup.postgres
    for folder in takewhile(lambda parent: parent != Path(tempfile.gettempdir()), disk.parents):
        folder.chmod(0o755)
    if os.geteuid() == 0:
        os.chown(disk, *_find_owner(server.home / "data"))
    databases = Databases(server.url)
    databases.run(f"CREATE TABLESPACE small LOCATION '{disk}'")
    try:
        databases.run(f"ALTER DATABASE {get_database_name(postgres_setup.database_url)} SET TABLESPACE small")
        trade_through(postgres_setup.oms(), journal, postgres_setup, fill_disk_temporarily(disk))
    finally:
        databases.run(f"DROP DATABASE {get_database_name(postgres_setup.database_url)} WITH (FORCE)")
        databases.run("CHECKPOINT")
        databases.run("DROP TABLESPACE small")


def test_sqlite_with_a_file_size_limit_loses_nothing_and_recovers(sqlite_setup: FaultSetup, journal: Journal):
    oms = sqlite_setup.oms()

    def limit(size: int) -> None:
        resource.prlimit(oms.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def limited() -> Iterator[None]:
        path = Path(sqlite_setup.database_url.removeprefix("sqlite:///"))
        limit(min(path.stat().st_size, Path(f"{path}-wal").stat().st_size) // 2)
        yield
        limit(resource.RLIM_INFINITY)

    trade_through(oms, journal, sqlite_setup, limited())


def _find_owner(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_uid, status.st_gid
