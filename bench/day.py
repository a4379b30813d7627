"""Simulates a trading day at high speed against real processes on PostgreSQL.

It uses orders of every type and time in force, moving prices, cancels, replaces, linked orders, kill
switches, process kills and restarts. At the end it verifies the books.

`python -m bench.day [--tickets 100000] [--kills 8] [--seed 1]`: about five minutes on two cores.
"""

import argparse
import subprocess
import sys

from bench.disk import scratch
from bench.postgres import postgres
from bench.service import OMS_API, generate_key, migrate

TICKETS, KILLS = 100_000, 8


def play(tickets: int, kills: int, seed: int | None, seconds: float) -> int:
    """Run a day. Return status 0 if the books are consistent."""
    with scratch() as folder, postgres(folder) as server:
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
    asked = parser.parse_args()
    sys.exit(play(asked.tickets, asked.kills, asked.seed, asked.seconds))
