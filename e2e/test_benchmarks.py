"""Check that a benchmark imports. Benchmarks do not run in CI, so a rename would otherwise go unnoticed."""

import os
import subprocess
import sys

import pytest

from documents import ROOT

MODULES = sorted(path.stem for path in (ROOT / "bench").glob("[!_]*.py"))


@pytest.mark.parametrize("module", MODULES)
def test_benchmarks_can_be_imported(module: str) -> None:
    completed = subprocess.run(
        [sys.executable, "-c", f"import bench.{module}"],
        cwd=ROOT / "oms-api", env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert completed.returncode == 0, completed.stderr
