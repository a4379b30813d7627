"""The database of the previous release migrates under load, and both versions then work side by side.

The previous release is that of the last tag. Without tags, it is the last commit with fewer migrations.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.invariant_checks import find_faults
from tests.faults.journal import Journal
from tests.faults.load import resolve_open_requests, run_load, wait_for_more
from tests.faults.process_control import HERE, OmsProcess, PostgresProcess, verify_books
from tests.support.postgres import Databases
from tests.support.processes import build_environment

ROOT = HERE.parent
START_SECONDS = 180.0  # the modules are compiled at the first start
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


def run_git(*arguments: str) -> str:
    command = ["git", "-c", "safe.directory=*", *arguments]
    completed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return completed.stdout.strip() if completed.returncode == 0 else ""


def list_migrations(commit: str) -> list[str]:
    """Return the names of the migrations of a commit, in their order."""
    names = run_git("ls-tree", "--name-only", commit, "oms-api/migrations/versions/")
    return sorted(name for name in names.splitlines() if name.endswith(".py"))


def find_previous_release() -> str:
    """Return the commit of the previous release, nothing if the history does not have it."""
    tag = run_git("describe", "--tags", "--abbrev=0", "HEAD^")
    if tag:
        return tag
    current = list_migrations("HEAD")
    for commit in run_git("log", "--format=%H", "--", "oms-api/migrations/versions").splitlines():
        # branches may have put a migration between others: the database of such a commit is of no release
        earlier = list_migrations(f"{commit}^")
        if 0 < len(earlier) < len(current) and current[: len(earlier)] == earlier:
            return f"{commit}^"
    return ""


@pytest.fixture
def earlier_source(tmp_path: Path) -> Path:
    """Provide the source of the previous release."""
    commit = find_previous_release()
    if not commit:
        pytest.skip("The history is not here: the previous release cannot be built.")
    archive = tmp_path / "previous.tar"
    run_git("archive", "--output", str(archive), commit, "oms-api")
    subprocess.run(["tar", "-xf", str(archive)], cwd=tmp_path, check=True)
    return tmp_path / "oms-api"


def run_migrations(home: Path, database_url: str) -> str:
    environment = build_environment(DATABASE_URL=database_url, ENVIRONMENT="production")
    command = [sys.executable, "-m", "app.migrate"]
    completed = subprocess.run(
        command, cwd=home, env=environment, capture_output=True, text=True, check=False
    )
    assert completed.returncode == 0, completed.stderr
    return completed.stdout


def test_database_of_the_previous_release_migrates_under_load(
    killable_postgres: PostgresProcess, earlier_source: Path, journal: Journal, tmp_path: Path
):
    url = Databases(killable_postgres.url).new("template0")
    before = run_migrations(earlier_source, url)
    previous, current = OmsProcess(url, tmp_path), OmsProcess(url, tmp_path)
    previous.home = earlier_source
    try:
        previous.start(ready=False)
        previous.wait_ready(START_SECONDS)
        with run_load(journal, [previous.port], "before"):
            wait_for_more(journal, 50)
            after = run_migrations(HERE, url)
            wait_for_more(journal, 50)
        current.start(ready=False)
        current.wait_ready(START_SECONDS)
        with run_load(journal, [previous.port, current.port], "both"):
            wait_for_more(journal, 100)
            previous.stop()
            wait_for_more(journal, 50)
        resolve_open_requests(journal, current.port)
    finally:
        previous.remove()
        current.remove()
    assert after != before
    assert find_faults(journal, url) == []
    verify_books(url)
