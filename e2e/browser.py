"""Find a Chromium: one that is installed, else Playwright's own, else Debian's where that is allowed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Playwright

INSTALLED = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DOWNLOAD_SECONDS = 180
INSTALL_SECONDS = 300
NONE_TO_BE_HAD = (
    "NO BROWSER: install chromium (Debian: apt-get install chromium) or run "
    "`.venv/bin/playwright install chromium`, then `make test` again; "
    "until then the tests in a browser do not run"
)


def executable(playwright: Playwright) -> str | None:
    """Return the path of a Chromium, fetching one if need be, or None where none can be had."""
    return _installed() or _playwrights(playwright) or _downloaded(playwright) or _debians()


def in_ci() -> bool:
    """Return whether a missing browser is a failure here rather than a reason to skip."""
    return os.environ.get("CI", "").lower() == "true"


def _installed() -> str | None:
    return next((path for name in INSTALLED if (path := shutil.which(name))), None)


def _playwrights(playwright: Playwright) -> str | None:
    path = playwright.chromium.executable_path
    return path if path and Path(path).exists() else None


def _downloaded(playwright: Playwright) -> str | None:
    _try([sys.executable, "-m", "playwright", "install", "chromium"], DOWNLOAD_SECONDS)
    return _playwrights(playwright)


def _debians() -> str | None:
    if not (in_ci() and os.geteuid() == 0 and shutil.which("apt-get")):
        return None
    _try(["apt-get", "-qq", "update"], INSTALL_SECONDS)
    _try(["apt-get", "-qq", "install", "--yes", "--no-install-recommends", "chromium"], INSTALL_SECONDS)
    return _installed()


def _try(command: list[str], seconds: float) -> None:
    # Whether it worked is seen by what stands there afterwards.
    try:
        subprocess.run(command, timeout=seconds, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    except subprocess.TimeoutExpired:
        return
