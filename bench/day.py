"""Simulate a trading day at high speed against real processes on PostgreSQL.

It uses orders of every type and time in force, moving prices, cancels, replaces, linked orders, kill
switches, process kills and restarts. At the end it verifies the books.

`python -m bench.day [--tickets 100000] [--kills 8] [--seed 1]`: about five minutes on two cores.
"""

import argparse
import subprocess
import sys

from bench.disk import create_scratch_folder
from bench.postgres import run_postgres
from bench.service import OMS_API, generate_key, migrate

TICKETS, KILLS = 100_000, 8


def run_day(tickets: int, kills: int, seed: int | None, seconds: float) -> int:
    """Run a day. Return status 0 if the books are consistent."""
    with create_scratch_folder() as folder, run_postgres(folder) as server:
        url = server.create_database("day")
        migrate(url, generate_key())
        command = [sys.executable, "-m", "tests.day", "--database-url", url, "--seconds", str(seconds)]
        command += ["--tickets", str(tickets), "--kills", str(kills)]
        command += [] if seed is None else ["--seed", str(seed)]
        return subprocess.run(command, cwd=OMS_API, check=False, timeout=seconds + 600).returncode


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickets", type=int, default=TICKETS)
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--seconds", type=float, default=1800.0)
    options = parser.parse_args()
    sys.exit(run_day(options.tickets, options.kills, options.seed, options.seconds))
