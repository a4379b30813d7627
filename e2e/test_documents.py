"""The documents are correct: commands, files, links and variables. The curl examples are run."""

import ast
import json
import os
import re
import shutil
import subprocess
import tomllib

import pytest

import run
from command_check import check_command
from deployment_files import SERVICES, list_settings
from documents import ROOT, list_blocks, list_commands, list_documents, list_links, list_variables

REQUIRED = [
    "README.md",
    "QUICKSTART.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/ARCHITECTURE.md",
    "bench/README.md",
    "oms-api/README.md",
    "oms-api/SETUP_GUIDE.md",
    "oms-api/DEPLOYMENT.md",
    "slack-bot/README.md",
    "slack-bot/DEPLOYMENT.md",
]
# Variables that are not settings of a service: of the smoke test, the tests, and the start scripts.
OTHERS = {*run.PORTS, "TEST_API_URL", "TEST_DATABASE_URL", "CI", "BOT_URL", "POSTGRES_PASSWORD", "PYTHON"}
ERROR_TEXTS = tomllib.loads((ROOT / "scripts/errors.toml").read_text())
ERROR_CODES = {*ERROR_TEXTS["denials"], *ERROR_TEXTS["bot"]}  # written like variables
OMS_ADDRESS = re.compile(r"http://(?:127\.0\.0\.1|localhost):8001")


def get_name(path):
    return str(path.relative_to(ROOT))


every_document = pytest.mark.parametrize("document", list_documents(), ids=get_name)


@pytest.mark.parametrize("name", REQUIRED)
def test_required_document_exists(name):
    assert (ROOT / name).is_file()


@every_document
def test_links_of_a_document_exist(document):
    dead = [link for link in list_links(document) if not (document.parent / link).exists()]
    assert dead == []


@every_document
def test_variables_in_tables_of_a_document_are_read(document):
    known_names = OTHERS | ERROR_CODES | {name for service in SERVICES for name in list_settings(service)}
    assert list_variables(document) - known_names == set()


@every_document
def test_commands_of_a_document_exist(document):
    problems = []
    for block in list_blocks(document):
        folder = document.parent if document.parent.name in SERVICES else ROOT
        for command in list_commands(block):
            folder, problem = check_command(command, folder)
            problems += [f"{command}: {problem}"] if problem else []
    assert problems == []


@pytest.mark.parametrize(
    "command",
    [
        "make run",
        "make run OMS_PORT=8101",
        "git clone <address> slackoms && cd slackoms && make test",
        "cd oms-api && ../.venv/bin/python -m app.config",
        "curl -s http://127.0.0.1:8001/health | python3 -m json.tool",
        "PORT=8002 uvicorn app.main:app --port 8002",
        "ID=$(curl -s http://127.0.0.1:8001/health | python3 -c 'import json; print(1)')",
        "curl -d '{\n}' http://127.0.0.1:8001/",
        "docker compose up && cd slack-bot; cp .env.template .env",
    ],
)
def test_command_check_accepts_valid_commands(command):
    assert check_command(command, ROOT / "oms-api")[1] == ""


@pytest.mark.parametrize(
    "command",
    [
        "make nothing",
        "python missing.py",
        "cd nowhere && make run",
        "python -m app.missing",
        "make run && make nothing",
        "uvicorn app.other:app",
        "cp missing there",
        "frobnicate --now",
        "make run | frobnicate",
    ],
)
def test_command_check_reports_invalid_commands(command):
    assert check_command(command, ROOT / "oms-api")[1] != ""


@every_document
def test_python_and_json_of_a_document_are_valid(document):
    for block in list_blocks(document):
        if block.language in {"python", "py"}:
            ast.parse(block.text)
        if block.language == "json":
            json.loads(block.text)


def list_curls(document):
    commands = [command for block in list_blocks(document) for command in list_commands(block)]
    return [each for each in commands if re.match(r"(\w+=\$\()?curl ", each) and OMS_ADDRESS.search(each)]


def test_architecture_lists_every_package_of_the_oms():
    text = (ROOT / "docs/ARCHITECTURE.md").read_text()
    table = text[text.index("| layer |") :].split("\n\n")[0]
    listed = re.findall(r"`(\w+)`", table)
    packages = [path.stem for path in (ROOT / "oms-api/app").glob("[a-z]*") if path.suffix in {"", ".py"}]
    assert sorted(listed) == sorted(packages)


@pytest.mark.any_database
@pytest.mark.e2e
@pytest.mark.parametrize("document", [each for each in list_documents() if list_curls(each)], ids=get_name)
def test_curl_examples_of_a_document_work(document, deployment, tmp_path):
    if not shutil.which("curl"):
        pytest.skip("curl is not installed here: its examples cannot be run")
    script = "\n".join(list_curls(document))
    script = OMS_ADDRESS.sub(deployment.url("oms-api"), script)
    script = script.replace("curl --fail ", "curl ")  # the option excludes that of the wrapper
    wrapper = 'curl() { command curl --silent --show-error --fail-with-body --max-time 20 "$@"; }\n'
    completed = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", wrapper + script],
        env={"PATH": os.environ["PATH"], "OMS_API_KEY": deployment.key},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert completed.returncode == 0, f"{script}\n{completed.stdout}\n{completed.stderr}"
