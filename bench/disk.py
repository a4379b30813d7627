"""Folders for the databases of a run: all on one disk, gone at the end."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def scratch() -> Iterator[Path]:
    """Yield a fresh folder under TMPDIR (/tmp unless set); set TMPDIR to measure another disk."""
    with tempfile.TemporaryDirectory(prefix="slackoms-bench-", ignore_cleanup_errors=True) as name:
        yield Path(name)
