"""Run the tests of a service again whenever one of its files changes: `make test-watch`.

The arguments are those of pytest, in the folder of the service, as in
`make test-watch IN=slack-bot TESTS=tests/forms`. Failed tests run first. Ctrl-C stops it.
"""

import subprocess
import sys
import time
from pathlib import Path

from file_watcher import FileWatcher

ROOT = Path(__file__).resolve().parent.parent
POLL_SECONDS = 0.5


def main(arguments: list[str]) -> int:
    """Watch the folder that the first argument names. Return 0 after Ctrl-C, 2 if there is no such folder."""
    folder = ROOT / arguments[0] if arguments else ROOT / "oms-api"
    if not (folder / "pyproject.toml").is_file():
        print(f"{folder.name} has no tests; name oms-api, slack-bot or e2e.", file=sys.stderr)
        return 2
    watcher = FileWatcher([folder])
    command = [sys.executable, "-m", "pytest", "--failed-first", "-x", "-q", *arguments[1:]]
    try:
        while True:
            subprocess.run(command, cwd=folder, check=False)
            print("Waiting for a change …", flush=True)
            while not (changes := watcher.find_changes()):
                time.sleep(POLL_SECONDS)
            print(f"Changed: {', '.join(str(path.relative_to(folder)) for path in changes[:5])}", flush=True)
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
