"""Folders for the databases of a run: all on one disk, deleted at the end."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def create_scratch_folder() -> Iterator[Path]:
    """Yield a new folder under TMPDIR (/tmp by default). Set TMPDIR to measure another disk."""
    with tempfile.TemporaryDirectory(prefix="slackoms-bench-", ignore_cleanup_errors=True) as name:
        yield Path(name)
