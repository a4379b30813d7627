"""The lock files are complete, so that an installation never looks up other versions."""

import hashlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
LOCKS = [
    f"{service}/{name}"
    for service in ("oms-api", "slack-bot")
    for name in ("requirements", "requirements-dev")
]
BROKERS = ["oms-api/requirements-sdk", "oms-api/requirements-ibkr", "oms-api/requirements-celery"]


def read_requirements(path: Path) -> list[Requirement]:
    """Return the requirements of a `.in` or `.txt` file, including those of included files."""
    requirements = []
    for line in re.sub(r"\\\n", " ", path.read_text()).splitlines():
        text = re.split(r"\s#|\s--hash|^#", line)[0].strip()
        if text.startswith("-r "):
            requirements += read_requirements(path.parent / text.removeprefix("-r ").strip())
        elif text:
            requirements.append(Requirement(text))
    return requirements


def read_lock(path: Path) -> dict[str, Requirement]:
    """Return the pinned requirements of a lock file by normalized name."""
    return {canonicalize_name(line.name): line for line in read_requirements(path)}


def find_missing(lock: dict[str, Requirement], required: list[Requirement]) -> set[str]:
    """Return the dependencies of `required` that the lock lacks or pins to another version."""
    missing, visited, queue = set(), set(), [(requirement, "") for requirement in required]
    while queue:
        requirement, extra = queue.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        version = next(iter(lock[name].specifier)).version if name in lock else None
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            missing.add(str(requirement))
            continue
        for wanted_extra in {"", *requirement.extras}:
            if (name, wanted_extra) not in visited:
                visited.add((name, wanted_extra))
                children = importlib.metadata.requires(name) or []
                queue += [(Requirement(child), wanted_extra) for child in children]
    return missing


@pytest.mark.parametrize("name", [*LOCKS, *BROKERS])
def test_lock_file_lists_everything_that_its_packages_need(name):
    lock = read_lock(ROOT / f"{name}.txt")
    assert find_missing(lock, read_requirements(ROOT / f"{name}.in")) == set()


@pytest.mark.parametrize("name", LOCKS)
def test_lock_file_without_one_of_its_packages_is_incomplete(name):
    lock = read_lock(ROOT / f"{name}.txt")
    del lock["httpx" if "slack" in name else "starlette"]
    assert find_missing(lock, read_requirements(ROOT / f"{name}.in"))


def build_wheel(folder: Path, name: str, version: str, *requires: str) -> str:
    """Write a wheel without code. Return its line for a lock file."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nProvides-Extra: more"]
    metadata += [f"Requires-Dist: {requirement}" for requirement in requires]
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{info}/METADATA", "\n".join(metadata) + "\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


@pytest.fixture
def checkout(tmp_path):
    """Provide a tree with the Makefile, lock files of two small packages and an index with newer releases."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    lines = build_wheel(wheels, "desk", "1.0", "ledger[more]>=1.0") + build_wheel(wheels, "ledger", "1.0")
    build_wheel(wheels, "desk", "1.1", "ledger[more]>=1.1")
    build_wheel(wheels, "ledger", "1.1")
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in (*LOCKS, *BROKERS):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.txt").write_text(lines)
    return tmp_path


def run_make(tree: Path, target: str) -> subprocess.CompletedProcess[str]:
    """Run a target of the Makefile with the tree's own wheels as the only index."""
    environment = {key: os.environ[key] for key in ("PATH", "HOME", "TMPDIR") if key in os.environ}
    index = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tree / "wheels"), "PIP_CONFIG_FILE": os.devnull}
    command = ["make", f"PYTHON={sys.executable}", target]
    return subprocess.run(
        command, cwd=tree, env=environment | index, capture_output=True, text=True, check=False
    )


def list_installed(tree: Path) -> list[str]:
    folders = (tree / ".venv").glob("lib/python*/site-packages/*-1.*.dist-info")
    return sorted(folder.name for folder in folders)


def test_make_dev_installs_the_pinned_releases_while_newer_ones_exist(checkout):
    result = run_make(checkout, "dev-install")
    assert result.returncode == 0, result.stdout + result.stderr
    assert list_installed(checkout) == ["desk-1.0.dist-info", "ledger-1.0.dist-info"]


def test_make_install_stops_when_a_lock_file_is_incomplete(checkout):
    for name in LOCKS:
        path = checkout / f"{name}.txt"
        path.write_text(path.read_text().splitlines(keepends=True)[0])
    result = run_make(checkout, "install")
    assert result.returncode != 0
    assert "requires ledger" in result.stdout + result.stderr
    assert not (checkout / ".venv/.installed").exists()
