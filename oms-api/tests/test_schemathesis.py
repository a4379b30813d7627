"""Tests generated from the OpenAPI document: no 5xx, and no undocumented answer."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.factories import BOOTSTRAP_KEY
from tests.support.processes import build_environment, run_process

LONG_TESTS = bool(os.environ.get("LONG_TESTS"))
EXAMPLES = {"examples": "1", "coverage": "1", "fuzzing": "5", "stateful": "8"}
# Answers do not depend on the database, so each phase runs on one of them, unless LONG_TESTS is set.
PHASES = [
    *(("sqlite", phase) for phase in EXAMPLES if LONG_TESTS or phase in {"examples", "coverage"}),
    *(("postgresql", phase) for phase in EXAMPLES if LONG_TESTS or phase in {"fuzzing", "stateful"}),
]
# `positive_data_acceptance` is not among them: limits hold for combinations of fields, which no schema tells
# (price = GMV / quantity); test_limits.py tests them.
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    # It sends each request twice more; access/test_permission_matrix.py calls every route without a key once.
    *(["ignored_auth"] if LONG_TESTS else ()),
]


@pytest.fixture(scope="module")
def address(request, new_database):
    with run_process(DATABASE_URL=new_database(request.param), LOG_LEVEL="ERROR") as service:
        yield service.url


@pytest.mark.parametrize(("address", "phase"), PHASES, indirect=["address"])
def test_generated_requests_get_only_documented_answers(address, phase, tmp_path):
    examples = str(500 if LONG_TESTS else EXAMPLES[phase])
    program = Path(sys.executable).with_name("schemathesis")
    # It would make itself a user and test by a session of theirs; the key is what opens most here.
    # A bad item of a batch is refused within its 200: each stands or falls by itself.
    (tmp_path / "schemathesis.toml").write_text(
        "[auth]\nauto-signup = false\n\n"
        '[[operations]]\ninclude-path = "/api/v1/trades:batch"\n'
        'checks.negative_data_rejection.expected-statuses = ["200", "4xx", "5xx"]\n'
    )
    ended = subprocess.run(
        [
            str(program),
            "run",
            f"{address}/openapi.json",
            "--exclude-path",
            "/api/v1/events/stream",  # it never ends; tests/events/test_stream.py tests it
            "--phases",
            phase,
            "--checks",
            ",".join(CHECKS),
            "--max-examples",
            examples,
            "--seed",
            "1",
            "--header",
            f"X-API-Key: {BOOTSTRAP_KEY}",
            "--no-color",
            "--generation-database",
            "none",
            "--request-timeout",
            "20",
            "--suppress-health-check",
            "all",
        ],
        cwd=tmp_path,
        env=build_environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-6000:] + ended.stderr[-2000:]
