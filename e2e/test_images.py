"""The steps of each Dockerfile, run by hand: the copied files, the environment, the command."""

import fnmatch
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import run
from deployment import build_environment, build_sqlite_url, wait_until
from deployment_files import ROOT, SERVICES, get_instruction, read_image_environment
from supervisor import Program, stop_all
from support.ports import find_free_ports

pytestmark = pytest.mark.e2e
REQUIRED = {
    "OMS_API_KEY": "k" * 48,
    "JWT_KEYS": "j" * 44,
    "OMS_API_URL": "http://127.0.0.1:9",
    "SLACK_BOT_TOKEN": "xoxb-not-a-real-one",
    "SLACK_SIGNING_SECRET": "0" * 32,
    "SLACK_API_URL": "http://127.0.0.1:9/api/",
}


def list_copied_files(service, target):
    """Copy the files of `COPY . ./`: everything that .dockerignore does not list."""
    lines = (ROOT / service / ".dockerignore").read_text().splitlines()
    patterns = [line.removeprefix("**/") for line in lines if line and not line.startswith("#")]

    def list_ignored(_folder, names):
        return [name for name in names if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]

    shutil.copytree(ROOT / service, target, ignore=list_ignored)
    return target


@pytest.fixture
def image(tmp_path):
    def build(service):
        (port,) = find_free_ports(1)
        environment = build_environment() | read_image_environment(service) | REQUIRED
        environment |= {"DATABASE_URL": build_sqlite_url(tmp_path), "HOST": "127.0.0.1", "PORT": str(port)}
        (command,) = get_instruction(service, "CMD")
        folder = list_copied_files(service, tmp_path / service)
        return Program(service, [sys.executable, *json.loads(command)[1:]], folder, environment, port)

    return build


def run_migration(program):
    command = [sys.executable, "-m", "app.migrate"]
    subprocess.run(command, cwd=program.folder, env=program.environment, check=True, timeout=60)


def run_health_check(service, program):
    """Run the image's health check against the program. Return its exit status."""
    (check,) = get_instruction(service, "HEALTHCHECK")
    command = [sys.executable, *json.loads(check.partition("CMD ")[2])[1:]]
    completed = subprocess.run(command, env=program.environment, capture_output=True, timeout=30, check=False)
    return completed.returncode


@pytest.mark.parametrize("service", SERVICES)
def test_image_content_starts_and_passes_its_health_check(service, image):
    program = image(service)
    if service == "oms-api":
        run_migration(program)
    program.start()
    try:
        run.wait_until_healthy([program])
        assert run_health_check(service, program) == 0
    finally:
        assert stop_all([program])


def test_oms_in_production_is_not_healthy_before_its_migration(image):
    program = image("oms-api")
    program.start()
    try:
        wait_until(lambda: program.get_return_code() is not None or run.is_port_open(program.port))
        assert run_health_check("oms-api", program) != 0
    finally:
        stop_all([program])


@pytest.mark.parametrize("service", SERVICES)
def test_image_leaves_secrets_and_tests_behind(service, tmp_path):
    names = {path.name for path in list_copied_files(service, tmp_path / service).rglob("*")}
    assert not names & {".env", "tests", "requirements-dev.txt"}
    assert "requirements.txt" in names
    assert Path(tmp_path, service, "app").is_dir()
