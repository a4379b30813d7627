"""Find or install a Chromium: a system package, Playwright's own, or Debian's in continuous integration."""

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
NO_BROWSER = (
    "NO BROWSER: install chromium (Debian: apt-get install chromium) or run "
    "`.venv/bin/playwright install chromium`, then `make test` again; "
    "until then the tests in a browser do not run"
)


def find_executable(playwright: Playwright) -> str | None:
    """Return the path of a Chromium, None if there is none. Install one if necessary."""
    return (
        _find_installed() or _find_playwrights(playwright) or _find_download(playwright) or _install_debians()
    )


def is_ci() -> bool:
    """Whether a missing browser is a failure. Outside continuous integration, the tests are skipped."""
    return os.environ.get("CI", "").lower() == "true"


def _find_installed() -> str | None:
    return next((path for name in INSTALLED if (path := shutil.which(name))), None)


def _find_playwrights(playwright: Playwright) -> str | None:
    path = playwright.chromium.executable_path
    return path if path and Path(path).exists() else None


def _find_download(playwright: Playwright) -> str | None:
    _run_quietly([sys.executable, "-m", "playwright", "install", "chromium"], DOWNLOAD_SECONDS)
    return _find_playwrights(playwright)


def _install_debians() -> str | None:
    if not (is_ci() and os.geteuid() == 0 and shutil.which("apt-get")):
        return None
    _run_quietly(["apt-get", "-qq", "update"], INSTALL_SECONDS)
    _run_quietly(
        ["apt-get", "-qq", "install", "--yes", "--no-install-recommends", "chromium"], INSTALL_SECONDS
    )
    return _find_installed()


def _run_quietly(command: list[str], seconds: float) -> None:
    # The caller looks for the installed browser.
    try:
        subprocess.run(command, timeout=seconds, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    except subprocess.TimeoutExpired:
        return
